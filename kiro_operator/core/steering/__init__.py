"""Kiro's own file formats, read without trust: pure, bounded, and never raising for a text."""
