"""Which alerts are there, and in which groups: one request a sample."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from kiro_operator import ports
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.core.evidence.alerts import ALERTS, Alert, AlertGroup, Alerts
from kiro_operator.core.findings import clip
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

PATH = "/api/v2/alerts/groups"
KEPT = 1000
"""Alerts of one sample."""
LABELS = 32
"""Labels of one alert or group."""
LARGEST = 4 * 1024 * 1024
"""Bytes of an answer."""
_LABEL = 200


class _Status(Struct, rename="camel"):
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


class _Alert(Struct, rename="camel"):
    fingerprint: str
    starts_at: Annotated[datetime, Meta(tz=True)]
    labels: dict[str, str] = {}
    status: _Status = field(default_factory=_Status)


class _Receiver(Struct):
    name: str = ""


class _Group(Struct):
    labels: dict[str, str] = {}
    receiver: _Receiver = field(default_factory=_Receiver)
    alerts: tuple[_Alert, ...] = ()


class Alertmanager:
    """Samples the alerts of an Alertmanager.

    One that is a Service of the namespace is the namespace's own, and all of its alerts are read. Of one
    that serves others too only the alerts with this namespace's label are, unless the admin has opened
    the facts of the whole cluster to this namespace.
    """

    source = ALERTS
    rules: tuple[Rule, ...] = ()

    def __init__(self, fetcher: Fetcher, see_all: frozenset[str] = frozenset()) -> None:
        self._fetcher = fetcher
        self._see_all = see_all

    async def observe(self, request: ports.PollRequest) -> Alerts | Unobserved:
        """The alerts that have not ended, and their groups."""
        endpoint, namespace = request.spec.alertmanager, request.namespace
        if endpoint is None:
            return Unobserved(NOT_CONFIGURED, "spec.alertmanager is not set")
        everything = endpoint.service is not None or namespace in self._see_all
        asked = {} if everything else {"filter": f'namespace="{namespace}"'}
        groups = await self._fetcher.json(
            endpoint, namespace, PATH, tuple[_Group, ...], params=asked, limit=LARGEST
        )
        if isinstance(groups, Unobserved):
            return groups
        return read(groups, None if everything else namespace)


def read(groups: Iterable[_Group], namespace: str | None) -> Alerts:
    """The answer, bounded and in order; with a namespace, no alert without its label."""
    found: dict[str, Alert] = {}
    kept: list[AlertGroup] = []
    truncated = False
    for group in groups:
        members: set[str] = set()
        for item in group.alerts:
            if namespace is not None and item.labels.get("namespace") != namespace:
                continue
            if item.fingerprint not in found:
                if len(found) >= KEPT:
                    truncated = True
                    continue
                found[item.fingerprint] = _alert(item)
            members.add(item.fingerprint)
        if members:
            receiver = _plain(group.receiver.name)
            kept.append(AlertGroup(receiver, _labels(group.labels), tuple(sorted(members))))
    kept.sort(key=lambda item: (item.receiver, sorted(item.labels.items()), item.alerts))
    return Alerts(tuple(found[name] for name in sorted(found)), tuple(kept), truncated)


def _alert(item: _Alert) -> Alert:
    return Alert(
        item.fingerprint,
        _labels(item.labels),
        item.starts_at,
        bool(item.status.silenced_by),
        bool(item.status.inhibited_by),
    )


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {_plain(key): _plain(labels[key]) for key in sorted(labels)[:LABELS]}


def _plain(text: str) -> str:
    """One line of printable characters."""
    return "".join(c if c.isprintable() else " " for c in clip(text, _LABEL))
