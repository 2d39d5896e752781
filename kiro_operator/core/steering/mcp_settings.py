"""The MCP servers that Kiro itself uses: ``.kiro/settings/mcp.json``, which anybody may have written.

The operator takes nothing from it but what to tell: it starts no command, connects to no URL, and repeats
no value of a header or of the environment.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from kiro_operator.core.steering import json_text
from kiro_operator.core.steering.json_text import Path
from kiro_operator.core.steering.problems import Problem, place, quoted

SIZE = 65_536
"""Characters of a file."""
SERVERS = 64
"""Servers that are looked at."""
MOST = 16
"""Problems of one file that are told."""

_LONGEST = 2048
"""Characters of a URL."""
_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_OTHER_VARIABLE = re.compile(r"\$\{(?![A-Za-z_][A-Za-z0-9_]*\})")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?")


class Url(Struct, frozen=True):
    """Where a server answers, without credentials and query."""

    scheme: str
    host: str
    """In lower case, without a dot at its end."""
    port: int
    path: str
    """Without a slash at its end."""

    @property
    def local(self) -> bool:
        """Whether it is on the machine, or in the pod, that Kiro runs on."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


class Server(Struct, frozen=True):
    """One server of the file."""

    name: str
    line: int
    column: int
    url: Url | None = None
    """None: it has none, or one whose host or port only Kiro can fill in."""
    local: bool = False
    """Kiro starts it as a process."""
    disabled: bool = False


class Settings(Struct, frozen=True):
    """What the file says, and what is wrong with it."""

    servers: tuple[Server, ...] = ()
    problems: tuple[Problem, ...] = ()
    """In the order of their places."""


def read(text: str) -> Settings:
    """Read the file; whatever is wrong is a problem of it."""
    if len(text) > SIZE:
        words = f"longer than {SIZE} characters, and not read"
        return Settings(problems=(Problem(1, 1, "TooLargeJson", words, warning=True),))
    loaded = json_text.read(text)
    if loaded.problem is not None:
        return Settings(problems=(loaded.problem,))
    return _Reader(text, loaded).settings()


def url_of(text: str) -> Url | None:
    """The parts of a URL; None for what is no plain http or https URL."""
    if len(text) > _LONGEST:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not (_HOST.fullmatch(host) or _is_address(host)):
        return None
    port = _PORTS[parts.scheme] if port is None else port
    return Url(parts.scheme, host.removesuffix("."), port, parts.path.rstrip("/"))


def _may_be_url(value: Any) -> bool:
    """Whether a value is a URL, or becomes one by what its variables stand for."""
    if not isinstance(value, str):
        return False
    # A digit may stand for a part of a host, a port and a path alike.
    return bool(value.startswith("${") or _OTHER_VARIABLE.search(value) or url_of(_VARIABLE.sub("1", value)))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Reader:
    """Reads the value of one file, whose places it knows."""

    def __init__(self, text: str, loaded: json_text.Read) -> None:
        self._text = text
        self._loaded = loaded

    def settings(self) -> Settings:
        body = self._loaded.value
        listed = body.get("mcpServers") if isinstance(body, dict) else None
        if not isinstance(listed, dict):
            words = 'no object "mcpServers" with the servers by name: Kiro finds none'
            return Settings(problems=(self._problem(("mcpServers",), words),))
        servers: list[Server] = []
        problems: list[Problem] = []
        for name, server in islice(listed.items(), SERVERS):
            path: Path = ("mcpServers", name)
            if isinstance(server, dict):
                servers.append(self._server(path, name, server))
                problems += self._of_server(path, server)
            else:
                problems.append(self._problem(path, f"server {quoted(name)} is no object"))
        if len(listed) > SERVERS:
            words = f"more than {SERVERS} servers: the others are not looked at"
            problems.append(self._problem(("mcpServers",), words, "TooManyServers"))
        order = sorted(problems, key=lambda one: (one.line, one.column, one.message))
        return Settings(tuple(servers), tuple(order[:MOST]))

    def _server(self, path: Path, name: str, body: dict[str, Any]) -> Server:
        url = body.get("url")
        return Server(
            name,
            *self._at(path),
            url_of(url) if isinstance(url, str) else None,
            local="command" in body and "url" not in body,
            disabled=body.get("disabled") is True,
        )

    def _of_server(self, path: Path, body: dict[str, Any]) -> Iterator[Problem]:
        name = quoted(path[-1])
        if ("url" in body) == ("command" in body):
            both = "both url and command" if "url" in body else "neither url nor command"
            yield self._problem(path, f"server {name} has {both}: write one of them")
        elif "url" in body and not _may_be_url(body["url"]):
            words = f"the url of server {name} is no http or https URL with a host"
            yield self._problem((*path, "url"), words)
        elif "command" in body and not isinstance(body["command"], str):
            yield self._problem((*path, "command"), f"the command of server {name} is no text")
        if not isinstance(body.get("disabled", False), bool):
            yield self._problem((*path, "disabled"), f"disabled of server {name} is neither true nor false")
        for key in ("url", "headers", "env"):
            values = body.get(key)
            inner = values.items() if isinstance(values, dict) else [("", values)]
            for part, value in inner:
                if isinstance(value, str) and _OTHER_VARIABLE.search(value):
                    where: Path = (*path, key, part) if part else (*path, key)
                    words = f"{key} of server {name}: Kiro fills in variables of the form ${{NAME}} only"
                    yield self._problem(where, words, "InvalidVariable")

    def _problem(self, path: Path, words: str, reason: str = "InvalidSettings") -> Problem:
        return Problem(*self._at(path), reason, words, warning=True)

    def _at(self, path: Path) -> tuple[int, int]:
        while path and path not in self._loaded.offsets:
            path = path[:-1]
        return place(self._text, self._loaded.offsets.get(path, 0))
