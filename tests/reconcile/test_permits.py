"""Who asked for an action is heard until it is sent, as the policies are."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kiro_operator.reconcile.permits import Permits
from kiro_operator.reconcile.target import Target
from tests.reconcile.make import Still
from tests.reconcile.test_intake import NOTHING, NOW, no_policies
from tests.reconcile.test_own import body


class Nobody:
    """Stands where approvals are looked at."""

    def of(self, _namespace: str) -> tuple[()]:
        return ()


def edited(**metadata: Any) -> dict[str, Any]:
    made = body(2, {}, {"suspend": True})
    return made | {"metadata": made["metadata"] | metadata}


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        (body(2, {"note": "of no matter"}), None),
        (edited(generation=2), "Withdrawn"),
        (edited(uid="another"), "Withdrawn"),
        (None, "Withdrawn"),
    ],
    ids=["a note", "suspended", "made anew", "deleted"],
)
def test_whoever_asked_may_have_changed_their_mind(news: dict[str, Any] | None, reason: str | None) -> None:
    first = Target(("kiro-system", "platform"))
    first.take(body(1, {}))
    known = {first.key: first}
    permits = Permits(
        NOTHING, no_policies(), cast("Any", Nobody()), NOTHING, asker=known.get, clock=Still(NOW)
    )
    under = permits.under(first)
    assert permits.heard("kiro-system", "", under) is None
    if news is None:
        known.clear()
    else:
        first.take(news)
    heard = permits.heard("kiro-system", "", under)
    assert (heard and heard.reason) == reason
