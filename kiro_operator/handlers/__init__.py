"""The front door: kopf watches the custom resources that users write, and hands on their keys.

kopf's own engine is not used: no timers, no daemons, no create/update handlers, no finalizers and
no annotations of its own. See docs/adr/0002-kopf-is-the-front-door.md.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import kopf

from kiro_operator.adapters.kubernetes.credentials import Credentials
from kiro_operator.api.v1alpha1.types import GROUP, VERSION
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.settings import Settings

RULES = (
    Rule(
        GROUP,
        ("kirohealthchecks", "kirosafetypolicies"),
        ("list", "watch"),
        "kopf watches what users ask for",
        Scope.CLUSTER,
    ),
)


REFUSED_FOR = 2.0
"""Seconds until credentials that were refused are tried again, renewed by then or not."""


class Endless:
    """Waits between attempts at a request, in seconds. Without a length there is no last one.

    With a last one kopf ends the process over an outage, and Kubernetes starts it ever later: when
    the API server is back, minutes would pass before the operator is.
    """

    def __iter__(self) -> Iterator[float]:
        yield from (0.1, 0.5, 1.0, 2.0)
        yield from itertools.repeat(5.0)


class NoDiffs(kopf.AnnotationsDiffBaseStorage):
    """Nothing is kept of an object, so nothing of it has to be copied at every event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's signature
        """The essence that is compared with the one before: always the same, always empty."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's signature
        """What was kept: nothing."""
        return None


class Intake(Protocol):
    """Whoever works on what comes in."""

    def health_check(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A KiroHealthCheck came, changed or went."""

    def policy(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A KiroSafetyPolicy came, changed or went."""


def registry(intake: Intake, credentials: Credentials) -> kopf.OperatorRegistry:
    """The handlers: each decodes nothing and decides nothing."""
    handlers = kopf.OperatorRegistry()
    logins = itertools.count()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        attempt = next(logins)
        if attempt:  # the API server did not know the token
            credentials.refused()
            await asyncio.sleep(REFUSED_FOR)
        certificate = credentials.certificate or (None, None)
        return kopf.ConnectionInfo(
            server=credentials.server,
            ca_path=credentials.ca_file,
            token=credentials.token(),
            certificate_path=certificate[0],
            private_key_path=certificate[1],
            # kopf ends the process over credentials that were refused before: it is to take these for others.
            priority=attempt,
        )

    @kopf.on.event(GROUP, VERSION, "kirohealthchecks", registry=handlers)
    async def health_check(event: Mapping[str, Any], **_: Any) -> None:
        intake.health_check(event["object"], deleted=event["type"] == "DELETED")

    @kopf.on.event(GROUP, VERSION, "kirosafetypolicies", registry=handlers)
    async def policy(event: Mapping[str, Any], **_: Any) -> None:
        intake.policy(event["object"], deleted=event["type"] == "DELETED")

    return handlers


def operator_settings(settings: Settings) -> kopf.OperatorSettings:
    """kopf, with everything off that this operator does itself."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10
    chosen.watching.inactivity_timeout = 90
    chosen.networking.request_timeout = 30
    chosen.networking.error_backoffs = Endless()
    chosen.persistence.finalizer = f"{GROUP}/never-set"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"progress.{GROUP}")
    chosen.persistence.diffbase_storage = NoDiffs(prefix=f"diffbase.{GROUP}")
    chosen.queueing.idle_timeout = 1.0
    if settings.watch_label_selector:
        chosen.watching.label_selectors[GROUP, "kirohealthchecks"] = settings.watch_label_selector
    return chosen
