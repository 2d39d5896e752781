"""Logs of the process: one JSON object a line, or plain text for a person; without credentials in both.

What is logged holds words of others: of servers that refuse, of files that cannot be read.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from kiro_operator.core.redact import without_credentials

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Fields of a record, with whatever ``extra`` was given."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update(
            (name, value)
            for name, value in vars(record).items()
            if name not in _OWN and not name.startswith("k8s_") and name != "settings"
        )
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(_plain(fields), default=lambda value: without_credentials(str(value)))


def _plain(value: object) -> object:
    """The same without credentials, text by text, so that it is JSON whatever is taken out.

    A text is read beside its name, without which it may look like any other.
    """
    match value:
        case str():
            return without_credentials(value)
        case dict():
            return {without_credentials(str(key)): _beside(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _beside(name: str, value: object) -> object:
    if not isinstance(value, str):
        return _plain(value)
    quoted = without_credentials(json.dumps({name: value}))
    try:
        (shown,) = json.loads(quoted).values()
    except ValueError:
        return without_credentials(value)
    return _plain(shown)


class PlainFormatter(logging.Formatter):
    """A line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback if there is one."""
        return without_credentials(super().format(record))


def configure(*, as_json: bool, verbose: bool) -> None:
    """Set up the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if as_json else PlainFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    # kopf tells each event it hands on; what is done with them is told here.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # Whatever AWS answers would be in it, credentials for a role among them.
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
