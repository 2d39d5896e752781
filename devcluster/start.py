"""Starts a control plane, attaches to a running one, or wraps the user's own cluster."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from devcluster import build, control
from devcluster.components import Layout
from devcluster.config import Config
from devcluster.errors import BootFailed, DevclusterError, NotRunning
from devcluster.paths import HERE, default_folder
from devcluster.plane import ControlPlane
from devcluster.state import FILE as STATE_FILE
from devcluster.state import State

# The supervisor's report may come this long after the boot's own limit.
REPORT_GRACE_SECONDS = 15.0


def boot(
    folder: Path | None = None,
    *,
    name: str = "default",
    nodes: int = 2,
    metrics_server: bool = True,
    audit: bool = True,
    fast: bool = False,
    parent_pid: int | None = None,
    timeout: float = 90.0,
) -> ControlPlane:
    """Start a control plane in its own process and return once it is ready.

    Args:
        folder: Where it keeps its files; by default one in the user's cache, by `name`.
        name: What status and errors call it.
        nodes: How many kwok nodes it has at first.
        metrics_server: Whether `kubectl top` works after some 15 to 30 s.
        audit: Whether the API server writes an audit log.
        fast: Whether controller manager and scheduler get high client limits, for benchmarks.
        parent_pid: The process whose end ends it: by default the calling one; 0 for none.
        timeout: Seconds that the boot may take.

    Raises:
        NotBuilt: A program is missing.
        BootFailed: A component died, or the time was over; the log's tail is in the text.
    """
    parent = os.getpid() if parent_pid is None else parent_pid
    config = Config(name, nodes, metrics_server, audit, fast, parent, timeout)
    folder = prepare(folder or default_folder(name), config)
    log_path = Layout(folder).log("supervisor")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report, log_path.open("ab") as log:
        # Returns at once: the supervisor forks away, so that whoever boots has no child to reap.
        subprocess.run(
            [sys.executable, "-m", "devcluster.supervisor", str(folder), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,
            cwd=HERE.parent,
            check=False,
        )
        os.close(writing)
        outcome = _read_report(report.fileno(), timeout + REPORT_GRACE_SECONDS)
    if not outcome.get("ready"):
        raise BootFailed(outcome.get("error") or f"the supervisor ended silently:\n{build.tail(log_path)}")
    return ControlPlane(folder)


def prepare(folder: Path, config: Config) -> Path:
    """Empty the folder of an earlier control plane's files and write the new one's options.

    Raises:
        NotBuilt: A program is missing.
        BootFailed: A control plane runs in the folder, or the folder holds something else.
    """
    for each in build.PROGRAMS:
        if each.always:
            build.program(each.name)
    folder = folder.resolve()
    layout = Layout(folder)
    ours = layout.lock.exists() or (folder / STATE_FILE).exists()
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise BootFailed(f"{folder} is not empty and was not made by devcluster")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(layout.lock, timeout=0):
            for entry in folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry != layout.lock:
                    entry.unlink()
            layout.logs.mkdir()
            config.save(folder)
    except Timeout as error:
        raise BootFailed(f"a control plane is already running in {folder}") from error
    return folder


def attach(folder: Path | None = None, *, name: str = "default") -> ControlPlane:
    """The control plane that runs in `folder`, or by `name` in the user's cache.

    Raises:
        NotRunning: There is none.
    """
    folder = (folder or default_folder(name)).resolve()
    state = State.load(folder)
    if not state.context and not control.is_running(folder):
        raise NotRunning(f"the control plane in {folder} is not running; it was last {state.phase}")
    return ControlPlane(folder)


def use_context(folder: Path, context: str) -> ControlPlane:
    """Wrap a cluster of the user's kubeconfig: nothing is booted, and nothing of it is ours to stop."""
    done = subprocess.run(
        [
            *(build.program("kubectl"), "config", "view", "--raw", "--minify", "--flatten"),
            *("--context", context, "-o", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DevclusterError(f"no usable context {context!r}: {done.stderr.strip()}")
    folder = folder.resolve()
    if control.is_running(folder):
        raise DevclusterError(f"a control plane is running in {folder}; stop it first")
    layout = Layout(folder)
    layout.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.kubeconfig.touch(mode=0o600)
    layout.kubeconfig.write_text(done.stdout, encoding="utf-8")
    server = json.loads(done.stdout)["clusters"][0]["cluster"]["server"]
    State(context, "external", server=server, context=context).save(folder)
    return ControlPlane(folder)


def _read_report(pipe: int, timeout: float) -> dict[str, Any]:
    """The supervisor's one line; empty when it ended without one or the time was over."""
    readable, _, _ = select.select([pipe], [], [], timeout)
    if not readable:
        return {}
    with os.fdopen(os.dup(pipe), "rb") as lines:
        line = lines.readline()
    outcome: dict[str, Any] = json.loads(line) if line else {}
    return outcome
