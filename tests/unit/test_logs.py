"""The operator's own log tells no credential, in either form."""

import json
import logging
import sys

import pytest

from kiro_operator.logs import JsonFormatter, PlainFormatter, configure

WORDS = "dial redis://:hunter2hunter2@cache"


def refuse(words: str) -> None:
    raise ValueError(words)


def record(*, broken: bool) -> logging.LogRecord:
    found = None
    if broken:
        try:
            refuse(WORDS)
        except ValueError:
            found = sys.exc_info()
    made = logging.LogRecord(
        "kiro", logging.INFO, __file__, 1, "token=%s is refused", ("hunter2hunter2",), found
    )
    made.url = "https://kiro:hunter2hunter2@example.com"
    made.error = ValueError("password: hunter2hunter2")
    return made


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("formatter", [JsonFormatter(), PlainFormatter("%(message)s %(url)s %(error)s")])
def test_no_credential(formatter: logging.Formatter, *, broken: bool) -> None:
    line = formatter.format(record(broken=broken))
    assert "hunter2" not in line
    assert line.count("[redacted]") == 3 + broken


def test_json_is_json() -> None:
    fields = json.loads(JsonFormatter().format(record(broken=True)))
    assert fields["message"] == "token=[redacted] is refused"
    assert fields["url"] == "https://[redacted]@example.com"
    assert fields["error"] == "password: [redacted]"
    assert "redis://[redacted]@cache" in fields["exception"]


def test_the_loudest_log_holds_no_answer_of_aws() -> None:
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        configure(as_json=True, verbose=True)
        assert logging.getLogger("kiro_operator.adapters.aws").isEnabledFor(logging.DEBUG)
        for name in ("botocore.parsers", "botocore.endpoint", "urllib3.connectionpool", "boto3.resources"):
            assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
