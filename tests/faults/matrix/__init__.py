"""Scenarios of remedies times faults times moments, judged by one oracle over the API server's audit log."""
