"""Lines as real software writes them."""

import pytest

from kiro_operator.core.loglines import is_error, is_quiet

ERRORS = [
    "2026-03-02T11:59:01Z ERROR cannot answer",
    "E0302 11:59:01.000000       1 server.go:42] cannot answer",
    "2026/03/02 11:59:01 [error] 7#7: *1 upstream timed out",
    'time="2026-03-02T11:59:01Z" level=error msg="cannot answer"',
    '{"level":"ERROR","msg":"x"}',
    '{"severity":"CRITICAL","message":"x"}',
    '{"level":50,"msg":"pino"}',
    '{"log.level":"fatal","message":"ecs"}',
    "Traceback (most recent call last):",
]
QUIET = [
    "2026-03-02T11:59:01Z INFO 0 errors since start",
    "I0302 11:59:01.000000       1 server.go:42] no error",
    'level=info msg="error budget is fine"',
    '{"level":"info","msg":"connection refused, retrying"}',
    '{"level":30,"msg":"pino"}',
]
NEITHER = [
    "the terror of the unlevelled line",
    '{"msg":"no level","error":null}',
    '{"level":"warn","msg":"slow"}',
    "WARNING: slow",
    '{"level":"err',
    "{}",
    "",
    '{"level":["odd"]}',
]


@pytest.mark.parametrize("line", ERRORS)
def test_errors(line: str) -> None:
    assert is_error(line)
    assert not is_quiet(line)


@pytest.mark.parametrize("line", QUIET)
def test_quiet(line: str) -> None:
    assert is_quiet(line)
    assert not is_error(line)


@pytest.mark.parametrize("line", NEITHER)
def test_neither(line: str) -> None:
    assert not is_error(line)
    assert not is_quiet(line)
