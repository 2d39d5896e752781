"""The process that owns one control plane: boots it, answers commands about it, and ends with its parent.

Run as `python -m devcluster.supervisor FOLDER [FD]`; FD is a pipe on which it writes one JSON line once the
control plane is ready or has failed. All components are its children with a death signal, so even SIGKILL
leaves nothing behind. It never restarts a component by itself: a component that died is something to see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from devcluster import bootstrap, components, ports
from devcluster.config import Config
from devcluster.errors import BootFailed, DevclusterError
from devcluster.processes import Process
from devcluster.state import State

Report = Callable[[dict[str, Any]], None]


class Supervisor:
    """One control plane's owner."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._config = config
        self._layout = components.Layout(folder)
        self._stopping = asyncio.Event()
        self._processes: dict[str, Process] = {}
        self._state = State(
            config.name, "booting", pid=os.getpid(), started_at=time.time(), token=secrets.token_urlsafe()
        )

    async def run(self, report: Report) -> None:
        """Boot, report, and stay until asked to stop or until the parent ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        self._watch_parent(loop)
        block = ports.reserve()
        try:
            await self._live(block.ports, report)
        finally:
            await self._kill_all()
            block.release()
            shutil.rmtree(self._layout.etcd_data, ignore_errors=True)
            if self._state.phase != "failed":
                self._state.phase = "stopped"
            self._save()

    async def _live(self, numbers: dict[str, int], report: Report) -> None:
        made = components.make(self._layout, numbers, self._config)
        self._processes = {name: Process(each, self._layout, self._save) for name, each in made.items()}
        self._state.server = f"https://{ports.LOOPBACK}:{numbers['kube-apiserver']}"
        self._state.control_port = numbers["supervisor"]
        server = await asyncio.start_server(self._serve, ports.LOOPBACK, self._state.control_port)
        background: set[asyncio.Task[None]] = set()
        async with server:
            try:
                started = time.monotonic()
                boot = bootstrap.Bootstrap(self._layout, self._config, self._processes, self._state.server)
                if not await self._unless_stopped(boot.run()):
                    raise BootFailed("asked to stop while booting")
                self._state.phase = "ready"
                self._save()
                report({"ready": True, "seconds": time.monotonic() - started})
                background.add(asyncio.create_task(self._finish(boot)))
                await self._stopping.wait()
            except DevclusterError as error:
                self._state.phase = "failed"
                self._state.error = str(error)
                report({"ready": False, "error": str(error)})
            finally:
                for task in background:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    async def _finish(self, boot: bootstrap.Bootstrap) -> None:
        """A metrics API that does not come is worth a line in status, not the control plane's end."""
        try:
            await boot.finish()
        except DevclusterError as error:
            self._state.error = str(error)
            self._save()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether the work was done; False when the request to stop came first."""
        doing = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if doing.done():
            await doing
            return True
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing
        return False

    async def _kill_all(self) -> None:
        """The data is thrown away, so nothing has to end in good order."""
        for process in self._processes.values():
            process.kill()
        await asyncio.gather(*(process.ended() for process in self._processes.values()))

    def _watch_parent(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop when the parent ends: its pidfd becomes readable then."""
        if not self._config.parent_pid:
            return
        try:
            parent = os.pidfd_open(self._config.parent_pid)
        except ProcessLookupError:
            self._stopping.set()
            return
        loop.add_reader(parent, self._stopping.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any]
        try:
            request = json.loads(await reader.readline())
            if not secrets.compare_digest(str(request.get("token")), self._state.token):
                answer = {"error": "wrong token"}
            else:
                answer = await self._obey(request["verb"], request["component"], request["timeout"])
        except (DevclusterError, ValueError, KeyError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        if answer.get("stopping"):
            self._stopping.set()

    async def _obey(self, verb: str, component: str, seconds: float) -> dict[str, Any]:
        if verb == "ping":
            return {"pid": os.getpid()}
        if verb == "shutdown":
            return {"stopping": True}
        process = self._processes.get(component)
        if process is None:
            raise DevclusterError(f"no component {component!r}; there are {', '.join(self._processes)}")
        if verb == "stop":
            await process.stop()
        elif verb == "start":
            await process.start()
            await process.ready(seconds, process.raise_if_dead)
        elif verb == "pause":
            process.pause()
        elif verb == "resume":
            process.resume()
        else:
            raise DevclusterError(f"no such command: {verb}")
        return {"state": process.state.state}

    def _save(self) -> None:
        self._state.components = {name: each.state for name, each in self._processes.items()}
        self._state.save(self._layout.folder)


def run(folder: Path, report: Report) -> None:
    """Own the control plane of `folder` until it stops; one supervisor a folder."""
    lock = FileLock(components.Layout(folder).lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report({"ready": False, "error": f"a control plane is already running in {folder}"})
        return
    with lock:
        asyncio.run(Supervisor(folder, Config.load(folder)).run(report))


def main() -> None:
    """Run as a daemon, with the report going to the pipe that the starter reads."""
    if os.fork():
        return
    folder = Path(sys.argv[1])
    pipe = int(sys.argv[2])

    def report(line: dict[str, Any]) -> None:
        # The starter may be gone; the state file says the same.
        with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "w", encoding="utf-8") as starter:
            json.dump(line, starter)
            starter.write("\n")

    run(folder, report)


if __name__ == "__main__":
    main()
