"""What can go wrong with a development control plane, as one small tree.

DevclusterError
├── NotBuilt       a program of the control plane is missing from the cache
├── BuildFailed    a program could not be built
├── BootFailed     a component died or was not ready in time; carries its log's tail
├── NotRunning     the folder holds no living control plane
├── WaitTimeout    a condition did not become true in time
├── KubectlFailed  kubectl ended with a non-zero code
└── ApiError       the API server refused a request
"""

from __future__ import annotations


class DevclusterError(RuntimeError):
    """The root: command line and fixtures print its text without a traceback."""


class NotBuilt(DevclusterError):
    """A program is missing; `python -m devcluster build` makes it."""


class BuildFailed(DevclusterError):
    """`go build` or what it needs failed."""


class BootFailed(DevclusterError):
    """The control plane did not become ready."""


class NotRunning(DevclusterError):
    """There is no living control plane in the folder."""


class WaitTimeout(DevclusterError):
    """A bounded wait came to its end."""


class KubectlFailed(DevclusterError):
    """kubectl ended with a non-zero code."""


class ApiError(DevclusterError):
    """The API server answered with an error status."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
