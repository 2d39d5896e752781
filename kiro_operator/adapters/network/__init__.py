"""Connections to what runs in the cluster, beside the API server."""
