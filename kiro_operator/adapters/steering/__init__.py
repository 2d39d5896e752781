"""Steering documents and hooks: where they are read, linted and remembered."""
