"""The pure part: facts in, verdicts and plans out. No I/O, no clock, no framework."""
