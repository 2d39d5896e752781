"""HTTP: the operator's own metrics and probes."""
