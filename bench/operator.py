"""The operator as a subprocess, started as in a pod."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from bench import procfs

STOP_SECONDS = 15.0
_LISTENING = re.compile(r'"message": ?"listening".*?"port": ?(\d+)|"port": ?(\d+).*?"message": ?"listening"')
PROFILE = "BENCH_PROFILE"
"""The environment variable that names the file for `--profile`."""


class Operator:
    """One operator process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._process = process
        self.log = log
        self.started = started
        """perf_counter when it was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it serves its metrics; 0 until it does."""
        found = _LISTENING.search(self.log.read_text(errors="replace"))
        return int(found[1]) if found else 0

    def cpu(self) -> float:
        """CPU seconds so far."""
        return procfs.cpu_seconds(self.pid)

    def send(self, number: signal.Signals) -> float:
        """Send it a signal; returns when."""
        at = time.perf_counter()
        self._process.send_signal(number)
        return at

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Give it time to end by itself; whether it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive()

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        if self.alive():
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running(
    server: str,
    account: Path,
    *,
    name: str = "operator",
    flags: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Operator]:
    """An operator that runs while the context lasts; ``name`` is its pod's."""
    module = "bench.profiled" if os.environ.get(PROFILE) else "kiro_operator"
    own = ["--service-account-dir", str(account), "--namespace", "kiro-operator", "--port", "0"]
    with _process(server, account, name, [module, *own, *flags], env) as process:
        yield process


@contextlib.contextmanager
def reading(server: str, account: Path) -> Iterator[Operator]:
    """The peer of the projection: what merely reads the same watch."""
    with _process(server, account, "reader", ["bench.reader", str(account)], {}) as process:
        yield process


@contextlib.contextmanager
def _process(
    server: str, account: Path, name: str, command: list[str], env: Mapping[str, str]
) -> Iterator[Operator]:
    address = urlsplit(server)
    log = account.parent / f"{name}-{time.time_ns()}.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={
                **os.environ,
                **env,
                "KUBERNETES_SERVICE_HOST": address.hostname or "",
                "KUBERNETES_SERVICE_PORT": str(address.port),
                "POD_NAME": name,
            },
        )
    operator = Operator(process, log, started)
    try:
        yield operator
    finally:
        operator.stop()
