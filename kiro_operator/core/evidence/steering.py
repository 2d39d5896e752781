"""Steering documents and hooks as they were found, and how they changed."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved

STEERING_FOLDER = ".kiro/steering/"
HOOKS_FOLDER = ".kiro/hooks/"
MCP_SETTINGS = ".kiro/settings/mcp.json"


def is_steering(path: str) -> bool:
    """Whether it is the path of a steering document."""
    return path.startswith(STEERING_FOLDER) and path.endswith(".md")


def is_hook(path: str) -> bool:
    """Whether it is the path of a hook."""
    return path.startswith(HOOKS_FOLDER)


class Document(Struct, frozen=True):
    """One file below ``.kiro``, from a ConfigMap's key or a pod's file system."""

    path: str
    """Relative to the workspace, such as .kiro/steering/product.md."""
    text: str = ""
    origin: str = ""
    """Such as ``ConfigMap kiro-steering`` or ``Pod kiro-0``."""
    digest: str = ""
    """SHA-256 of the bytes, as hex."""
    size: int | None = None
    """Bytes; None: as long as the text."""
    invalid_at: int | None = None
    """Offset of the first byte that is no UTF-8; then there is no text."""
    cut: bool = False
    """It is longer than what is read."""
    readable: bool = True
    """False: the container's own user cannot read it."""
    mode: int | None = None
    """Permission bits of the file; None where there is no file."""
    uid: int | None = None
    gid: int | None = None
    manager: str = ""
    """The last field manager that wrote the ConfigMap's data."""
    changed: datetime | None = None
    """When it did."""
    key: str = ""
    """In the ConfigMap; empty for a file."""

    @property
    def is_steering(self) -> bool:
        """A steering document."""
        return is_steering(self.path)

    @property
    def is_hook(self) -> bool:
        """A file in the folder of hooks."""
        return is_hook(self.path)

    @property
    def whole(self) -> bool:
        """Its text is all there, so that it can be judged."""
        return self.readable and not self.cut and self.invalid_at is None


class Holder(Struct, frozen=True):
    """A ConfigMap with documents: what a change of it depends on."""

    name: str
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    protected: str = ""
    """Value of the annotation kiro.dev/protected."""
    gitops: str = ""
    """The GitOps tool that owns it; empty for none."""
    binary: tuple[str, ...] = ()
    """Keys of its binaryData."""


class Kept(Struct, frozen=True):
    """The last version of a document that passed, where that is not what stands there now."""

    origin: str
    """Where it stood, as a document has it."""
    key: str
    text: str = ""
    unkept: str = ""
    """Why there is no text, as one CamelCase word."""


class Mount(Struct, frozen=True):
    """How a ConfigMap's keys appear as files in a pod."""

    config_map: str
    pod: str
    mode: int
    """The mode of the file that is the most open, or closed, of the volume."""
    readable: bool | None = None
    """Whether the container's user can read it; None where the pod does not tell its user."""


class Replica(Struct, frozen=True):
    """What one of several pods holds: digests by path."""

    pod: str
    digests: Mapping[str, str]


class Lint(Struct, frozen=True):
    """One problem that yamllint names."""

    path: str
    line: int
    column: int
    level: str
    message: str


class Revision(Struct, frozen=True, omit_defaults=True):
    """One version of a document, and how it differs from what stood there before."""

    path: str
    digest: str
    """Empty: the document was removed."""
    time: datetime
    manager: str = ""
    diff: str = ""
    """The lines that differ, redacted and bounded."""
    unshown: str = ""
    """Why there is no diff, as one CamelCase word."""
    first: bool = False
    """Found when the history began: nobody has seen it change."""
    added: bool = False
    """Nothing stood there before."""


class History(Struct, frozen=True):
    """How the documents changed."""

    revisions: tuple[Revision, ...] = ()
    note: str = ""
    """Why it is kept in memory only; empty: it is kept in a ConfigMap."""


class Environment(Struct, frozen=True):
    """What spec.steering.environment says of this cluster."""

    name: str = ""
    others: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Steering(Struct, frozen=True):
    """All that was found in one sample."""

    documents: tuple[Document, ...] = ()
    missing: tuple[str, ...] = ()
    """ConfigMaps that are named and do not exist."""
    mounts: tuple[Mount, ...] | Unobserved = ()
    replicas: tuple[Replica, ...] = ()
    workspace: tuple[str, ...] | None = None
    """The files of the workspace; None where nobody can tell them all."""
    lints: tuple[Lint, ...] = ()
    left_out: tuple[str, ...] = ()
    """Paths of files beyond the bounds."""
    partial: Unobserved | None = None
    """Why a part could not be read."""
    history: History = History()
    environment: Environment = Environment()
    holders: tuple[Holder, ...] = ()
    """The ConfigMaps that were read."""
    restore: bool = False
    """spec.steering.onDrift asks to put back what passed."""
    kept: Mapping[str, Kept] = {}
    """By path; nothing unless that is asked for."""


STEERING: Polled[Steering] = Polled("steering", Steering, section="steering", timeout=30.0)
