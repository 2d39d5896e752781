"""The only I/O there is: one package for each outside system."""
