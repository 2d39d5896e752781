"""Where Prometheus and Alertmanager are."""

from kiro_operator.api.v1alpha1.endpoint import Endpoint


class PrometheusEvidence(Endpoint):
    """A Prometheus, or whatever speaks its query API."""


class AlertmanagerEvidence(Endpoint):
    """An Alertmanager, by its API v2."""
