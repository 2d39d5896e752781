"""Answers of the query API: what is missing from one is not lost among hints."""

from __future__ import annotations

import json

from kiro_operator.adapters.http.fetch import Response
from kiro_operator.adapters.prometheus.answers import read
from kiro_operator.core.evidence.series import Query, partial


def test_hints_do_not_hide_what_is_missing() -> None:
    hints = [
        f'PromQL info: metric might not be a counter, name does not end in _total: "m{n}"' for n in range(20)
    ]
    body = {
        "status": "success",
        "data": {"resultType": "vector", "result": []},
        "warnings": ["store 10.0.0.7:10901 does not answer"],
        "infos": hints,
    }
    found = read(Query("m"), Response(200, {}, json.dumps(body).encode(), 0.0))
    assert partial(found) == ("store 10.0.0.7:10901 does not answer",)
    assert len(found.warnings) < len(hints)
