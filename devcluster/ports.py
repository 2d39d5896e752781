"""Ports for a control plane, reserved so that no other control plane can take them.

Asking the kernel for port 0, closing the socket and handing the number on is a race, and a component
that is stopped for a while would lose its port to any outgoing connection. So each control plane locks a
block of ports for as long as it lives, in a range below the one that the kernel uses for outgoing
connections. The kernel drops the lock with its process, however that ends.
"""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from devcluster.errors import BootFailed

LOOPBACK = "127.0.0.1"
FIRST_PORT = 20_480
LAST_PORT = 29_952
NAMES = (
    "kube-apiserver",
    "etcd",
    "etcd-peer",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "metrics-server",
    "supervisor",
)
BLOCK = len(NAMES)


@dataclass(frozen=True)
class PortBlock:
    """The ports by component; they are ours while `lock` is held."""

    ports: dict[str, int]
    lock: FileLock

    def release(self) -> None:
        """Give the block back."""
        self.lock.release()


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback port; addresses in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def reserve() -> PortBlock:
    """Lock the first block that nobody holds and whose ports are all free."""
    # A folder for each user; where two users meet, whoever listens first is seen by `is_free`.
    folder = Path(tempfile.gettempdir()) / f"kiro-devcluster-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in range(FIRST_PORT, LAST_PORT, BLOCK):
        lock = FileLock(folder / f"{first}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        ports = dict(zip(NAMES, range(first, first + BLOCK), strict=True))
        if all(map(is_free, ports.values())):
            return PortBlock(ports, lock)
        lock.release()
    raise BootFailed(f"no {BLOCK} free ports in a row between {FIRST_PORT} and {LAST_PORT}")
