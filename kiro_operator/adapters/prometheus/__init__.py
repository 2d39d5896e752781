"""Prometheus and whatever speaks its query API."""
