"""The Kiro operator: observe, judge, decide, act, report."""

__version__ = "0.1.0"
