"""What the API-server tests share: a small Kiro to break, and an operator that looks after it alone."""
