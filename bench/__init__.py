"""Benchmarks: each against a peer or a physical limit of the same machine, in the same run."""
