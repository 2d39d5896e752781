"""A Kiro platform that breaks on cue, and the operator that looks after it: `python -m demo`."""
