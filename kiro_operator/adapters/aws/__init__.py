"""AWS: who asks, what may be done, what it costs."""
