"""Signatures of known faults in logs: what they look like, what they mean, what can help."""

import re
from enum import StrEnum

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName


class Severity(StrEnum):
    """What a signature amounts to."""

    FAIL = "Fail"
    WARN = "Warn"


class Signature(Struct, frozen=True):
    """One known fault."""

    name: str
    """The reason it gives, in CamelCase."""
    pattern: re.Pattern[str]
    text: str
    """Meaning and advice."""
    remedies: tuple[ActionName, ...] = ()
    matches: int = 3
    """Lines of one pod in one sample that it takes."""
    severity: Severity = Severity.FAIL
    needles: tuple[str, ...] = ()
    """In lower case; a log without any of them has no line that matches."""
    own: bool = False
    """A user's: its pattern is held against the start of few lines only."""


_RESTART = (ActionName.RESTART,)
_BOTH = (ActionName.RESTART, ActionName.SCALE)


def _signature(
    name: str,
    needles: tuple[str, ...],
    text: str,
    *,
    pattern: str = "",
    remedies: tuple[ActionName, ...] = (),
    matches: int = 3,
    severity: Severity = Severity.FAIL,
) -> Signature:
    """A built-in signature; without a pattern of its own, a line with a needle in it matches."""
    compiled = re.compile(pattern or "|".join(map(re.escape, needles)), re.IGNORECASE)
    return Signature(name, compiled, text, remedies, matches, severity, needles)


BUILT_IN = (
    _signature(
        "NoSpaceLeft",
        ("no space left on device", "enospc", "disk quota exceeded"),
        "a disk is full: free space or enlarge the volume",
        matches=1,
    ),
    _signature(
        "CertificateExpired",
        (
            "certificate has expired",
            "cert_has_expired",
            "certificate is not yet valid",
            "certificate expired",
        ),
        "a TLS certificate has expired or is not valid yet: renew it, and check the nodes' clocks",
        matches=1,
    ),
    _signature(
        "CertificateUntrusted",
        (
            "unknown authority",
            "certificate_verify_failed",
            "self-signed certificate",
            "self signed certificate",
        ),
        "a TLS certificate is not trusted: add its authority to the trust store",
    ),
    _signature(
        "PermissionDenied",
        ("permission denied", "access denied", "accessdenied", "unauthorized", "forbidden", "eacces"),
        "access is refused (401, 403 or file permissions): check credentials, roles and file modes",
    ),
    _signature(
        "NameResolution",
        ("no such host", "enotfound", "name resolution", "eai_again", "name or service not known"),
        "a host name cannot be resolved: check the name and the cluster's DNS",
    ),
    _signature(
        "ConnectionRefused",
        ("connection refused", "econnrefused"),
        "something it depends on refuses connections: find out which from the log and look there",
    ),
    _signature(
        "DatabaseUnavailable",
        (
            "too many connections",
            "remaining connection slots",
            "could not connect to server",
            "the database system is",
            "database is locked",
            "deadlock detected",
            "serverselectiontimeouterror",
            "sqlstate[08",
        ),
        "its database does not take connections or transactions: look at the database",
    ),
    _signature(
        "OutOfMemory",
        ("out of memory", "outofmemory", "cannot allocate memory", "memoryerror", "enomem"),
        "it ran out of memory: raise the memory limit, add replicas or look for a leak",
        remedies=_BOTH,
        matches=1,
    ),
    _signature(
        "PoolExhausted",
        ("pool exhausted", "queuepool limit", "connection pool is full", "pool timeout", "pool is exhausted"),
        "a pool of connections is used up: enlarge it, add replicas or look for connections not given back",
        remedies=_BOTH,
    ),
    _signature(
        "TooManyOpenFiles",
        ("too many open files", "emfile"),
        "it has too many files open: raise the limit or look for files that are not closed",
        remedies=_RESTART,
    ),
    _signature(
        "Panic",
        ("panic:", "fatal error:", "segmentation fault", "sigsegv", "all goroutines are asleep"),
        "the process broke: its trace in the log says where",
        pattern=r"(?-i:(?:^|\s)(?:panic:|fatal error:))|segmentation fault|sigsegv|all goroutines are asleep",
        remedies=_RESTART,
        matches=1,
    ),
    _signature(
        "Traceback",
        (
            "traceback (most recent call last)",
            "unhandledpromiserejection",
            "unhandled promise rejection",
            "uncaught exception",
            "unhandled exception",
            'exception in thread "',
        ),
        "exceptions are not handled: their traces in the log say where",
        severity=Severity.WARN,
    ),
    _signature(
        "ServerErrors",
        ('" 50', "internal server error", "bad gateway", "service unavailable", "gateway timeout"),
        "requests are answered with 5xx: look at the lines before them",
        pattern=r'" 50[0-4] |internal server error|bad gateway|service unavailable|gateway timeout',
        matches=10,
    ),
    _signature(
        "Throttled",
        ("too many requests", "throttlingexception", "rate exceeded", "rate limit exceeded"),
        "what it depends on throttles it: ask less often or for a higher limit",
        severity=Severity.WARN,
        matches=5,
    ),
)
