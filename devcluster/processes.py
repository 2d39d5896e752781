"""The supervisor's hands: starting, probing, stopping and pausing component processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

from devcluster.build import tail
from devcluster.components import Component, Layout
from devcluster.errors import BootFailed
from devcluster.launch import bound
from devcluster.state import ComponentState

PROBE_SECONDS = 2.0
POLL_SECONDS = 0.05
# After which a component that was asked to end is killed.
STOP_SECONDS = 5.0
COLLECT_AT = "300"
"""Percent by which a heap grows until Go collects it.

With its own 100 a fifth of the API server's time goes into that while tests write to it. What lives for
minutes had better take the memory.
"""


class Process:
    """One component's process, over several starts."""

    def __init__(self, component: Component, layout: Layout, on_change: Callable[[], None]) -> None:
        self.component = component
        self.state = ComponentState(component.name, component.port, state="stopped")
        self._log = layout.log(component.name)
        self._folder = layout.folder
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a process, running or paused."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; does not wait until it is ready."""
        if self.alive:
            return
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound(self.component.arguments),
                cwd=self._folder,
                env={"GOGC": COLLECT_AT, **os.environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.state.pid = self._process.pid
        self.state.started_at = time.time()
        self.state.exit_code = None
        self._set("starting")
        self._watcher = asyncio.create_task(self._watch(self._process))

    async def ready(self, seconds: float, alive: Callable[[], None]) -> None:
        """Wait until the probe answers; `alive` raises when a component died meanwhile."""
        await until(self._probe, f"{self.component.name} to be ready", seconds, alive)
        self._set("ready")

    async def stop(self) -> None:
        """Ask the process to end, kill it when it does not, and wait for its end."""
        process = self._process
        if process is None or not self.alive:
            return
        self._set("stopped")
        with contextlib.suppress(ProcessLookupError):
            # A paused process sees SIGTERM only once it runs again.
            process.terminate()
            process.send_signal(signal.SIGCONT)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """SIGKILL, without waiting."""
        if self._process is not None and self.alive:
            self._set("stopped")
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._watcher is not None:
            await self._watcher

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGSTOP)
            self._set("paused")

    def resume(self) -> None:
        """Let a paused process go on."""
        if self._process is not None and self.alive and self.state.state == "paused":
            self._process.send_signal(signal.SIGCONT)
            self._set("ready")

    def raise_if_dead(self) -> None:
        """Raise with the log's tail when the process ended by itself."""
        if self.state.state == "died":
            raise BootFailed(
                f"{self.component.name} died with exit code {self.state.exit_code}; "
                f"the end of {self._log}:\n{tail(self._log)}"
            )

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if process is self._process and self.state.state != "stopped":
            self.state.exit_code = code
            self._set("died")

    async def _probe(self) -> bool:
        return await asyncio.to_thread(answers, self.component.probe)

    def _set(self, state: str) -> None:
        self.state.state = state
        self._on_change()


def answers(url: str) -> bool:
    """Whether the URL of a loopback component answers 200; its certificate is not looked at."""
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    # No proxy of the environment may stand between us and loopback.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    try:
        with opener.open(url, timeout=PROBE_SECONDS):
            return True
    except (urllib.error.URLError, OSError):
        return False


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, seconds: float, alive: Callable[[], None]
) -> None:
    """Wait for the condition, at most `seconds`, and only while all components live."""
    deadline = time.monotonic() + seconds
    while not await condition():
        alive()
        if time.monotonic() >= deadline:
            raise BootFailed(f"waited {seconds:.0f} s for {what}")
        await asyncio.sleep(POLL_SECONDS)
