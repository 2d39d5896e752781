"""The contract of the custom resources with a real API server."""
