"""The operator's own metrics, named by Prometheus' conventions."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        target = ("namespace", "healthcheck")
        self.check_status = Gauge(
            "kiro_check_status",
            "1 for the status a check has now.",
            (*target, "check", "status"),
            registry=registry,
        )
        self.condition = Gauge(
            "kiro_healthcheck_condition",
            "1 when the condition is True, 0 when False, -1 when Unknown.",
            (*target, "type"),
            registry=registry,
        )
        self.remediations = Counter(
            "kiro_remediations",
            "Actions that reached a state.",
            ("namespace", "action", "method", "state"),
            registry=registry,
        )
        self.denials = Counter(
            "kiro_remediation_denials",
            "Wanted actions that a gate newly denied.",
            ("namespace", "action", "gate", "reason"),
            registry=registry,
        )
        self.reconciliations = Counter(
            "kiro_reconciliations", "Reconciliations by outcome.", ("outcome",), registry=registry
        )
        self.duration = Histogram(
            "kiro_reconcile_duration_seconds",
            "Time of one reconciliation.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.judge_duration = Histogram(
            "kiro_judge_duration_seconds",
            "Time to judge one KiroHealthCheck.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.status_writes = Counter(
            "kiro_status_writes", "Status writes by kind.", ("kind",), registry=registry
        )
        self.sample_failures = Counter(
            "kiro_sample_failures", "Samples that could not be had.", ("source", "reason"), registry=registry
        )
        self.sample_delay = Histogram(
            "kiro_sample_delay_seconds",
            "From the turn of a sample until its source is asked.",
            ("source",),
            buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
            registry=registry,
        )
        self.sample_duration = Histogram(
            "kiro_sample_duration_seconds",
            "From asking a source until its answer.",
            ("source",),
            buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0),
            registry=registry,
        )
        self.queue_depth = Gauge("kiro_queue_depth", "Keys waiting to be worked.", registry=registry)
        self.leader = Gauge("kiro_leader", "1 when this process may act.", registry=registry)
        self.watch_age = Gauge(
            "kiro_watch_last_heard_seconds",
            "Age of the last sign of life of the quietest watch.",
            registry=registry,
        )
        self.last_judgement = Gauge(
            "kiro_last_judgement_timestamp_seconds",
            "When a KiroHealthCheck was last judged.",
            registry=registry,
        )
        self.health_checks = Gauge("kiro_healthchecks", "KiroHealthChecks known.", registry=registry)
        self.events_dropped = Gauge(
            "kiro_events_dropped", "Kubernetes Events dropped because too many waited.", registry=registry
        )

    def forget(self, namespace: str, name: str) -> None:
        """Drop the series of a KiroHealthCheck that is gone."""
        for metric in (self.check_status, self.condition):
            labels = [
                labels
                for labels in list(metric._metrics)  # noqa: SLF001 - the library has no other way to list them
                if labels[:2] == (namespace, name)
            ]
            for values in labels:
                metric.remove(*values)
