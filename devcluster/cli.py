"""The command line: build, up, down, status, env, logs."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devcluster import build, control, start, supervisor
from devcluster.components import Layout
from devcluster.config import Config
from devcluster.errors import BuildFailed, DevclusterError, NotRunning
from devcluster.paths import default_folder
from devcluster.state import State

LOG_LINES = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    options.folder = (options.folder or default_folder(options.name)).resolve()
    try:
        return int(options.run(options))
    except DevclusterError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devcluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--name", default="default", help="which control plane (default: %(default)s)")
    where.add_argument("--folder", type=Path, help="its folder (default: in the user's cache, by name)")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[where], help=text, description=text)
        added.set_defaults(run=run)
        return added

    making = command("build", _build, "build the programs into the user's cache; resumes where it stopped")
    making.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(build.BY_NAME))
    making.add_argument("--all", action="store_true", help="also those that no control plane needs")

    up = command("up", _up, "boot a control plane, building what is missing")
    up.add_argument("--nodes", type=int, default=2, help="kwok nodes, 250 pods each (default: %(default)s)")
    up.add_argument("--metrics-server", action=argparse.BooleanOptionalAction, default=True)
    up.add_argument("--audit", action=argparse.BooleanOptionalAction, default=True)
    up.add_argument("--fast", action="store_true", help="high client limits, for benchmarks")
    up.add_argument("--foreground", action="store_true", help="stay until Ctrl-C")
    up.add_argument("--parent-pid", type=int, default=0, help="end with this process")
    up.add_argument("--timeout", type=float, default=90.0, help="seconds for the boot (default: %(default)g)")
    up.add_argument("--context", help="boot nothing; use this context of your own kubeconfig")

    command("down", _down, "end the control plane and throw its data away")
    command("status", _status, "show the components; exit code 0 when all are well")
    command("env", _env, 'print what a shell needs: eval "$(python -m devcluster env)"')
    logs = command("logs", _logs, "show the logs of one component or of all")
    logs.add_argument("component", nargs="?")
    logs.add_argument("-f", "--follow", action="store_true")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


def _build(options: argparse.Namespace) -> int:
    if not options.all:
        build.build(options.programs, say=_say)
        return 0
    build.build([each.name for each in build.PROGRAMS if each.packaged is None], say=_say)
    for each in (program for program in build.PROGRAMS if program.packaged):
        try:
            build.build([each.name], say=build.say_nothing)
        except BuildFailed as error:
            _say(f"{error}\nGoing on without: the tests that need {each.name} say so.")
    return 0


def _up(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if options.context:
        start.use_context(folder, options.context)
        _say(f"using the context {options.context}; nothing was booted")
        return _env(options)
    if control.is_running(folder):
        _say(f"already running in {folder}")
        return _env(options)
    if build.missing():
        build.build(say=_say)
    if options.foreground:
        return _foreground(options)
    started = time.monotonic()
    start.boot(
        folder,
        name=options.name,
        nodes=options.nodes,
        metrics_server=options.metrics_server,
        audit=options.audit,
        fast=options.fast,
        parent_pid=options.parent_pid,
        timeout=options.timeout,
    )
    _say(f"# ready in {time.monotonic() - started:.1f} s")
    return _env(options)


def _foreground(options: argparse.Namespace) -> int:
    config = Config(
        options.name,
        options.nodes,
        options.metrics_server,
        options.audit,
        options.fast,
        options.parent_pid,
        options.timeout,
    )
    folder = start.prepare(options.folder, config)
    outcome: dict[str, Any] = {}

    def report(line: dict[str, Any]) -> None:
        outcome.update(line)
        if line["ready"]:
            _say(f"# ready in {line['seconds']:.1f} s; Ctrl-C ends it")
            _print_env(folder)
        else:
            print(line["error"], file=sys.stderr)

    supervisor.run(folder, report)
    return 0 if outcome.get("ready") else 1


def _down(options: argparse.Namespace) -> int:
    try:
        start.attach(options.folder).stop()
    except NotRunning as error:
        _say(str(error))
        return 0
    _say("stopped")
    return 0


def _status(options: argparse.Namespace) -> int:
    state = State.load(options.folder)
    running = bool(state.context) or control.is_running(options.folder)
    phase = state.phase if running or state.phase == "failed" else "not running"
    table = Table(title=f"{state.name}: {phase}  {state.server}", title_justify="left")
    for column in ("component", "pid", "port", "state", "uptime"):
        table.add_column(column, justify="right" if column in {"pid", "port", "uptime"} else "left")
    for each in state.components.values():
        shown = each.state if running else "gone"
        if each.exit_code is not None:
            shown += f" (exit code {each.exit_code})"
        lives = running and each.state not in {"stopped", "died"}
        uptime = f"{time.time() - each.started_at:.0f} s" if lives else "-"
        table.add_row(each.name, str(each.pid) if lives else "-", str(each.port), shown, uptime)
    Console().print(table)
    if state.error:
        print(state.error)
    well = all(each.state in {"ready", "starting"} for each in state.components.values())
    return 0 if running and well else 1


def _env(options: argparse.Namespace) -> int:
    start.attach(options.folder)
    _print_env(options.folder)
    return 0


def _print_env(folder: Path) -> None:
    tools = build.program("kubectl").parent
    print(f"export KUBECONFIG={shlex.quote(str(Layout(folder).kubeconfig))}")
    print(f'export PATH={shlex.quote(str(tools))}:"$PATH"', flush=True)


def _logs(options: argparse.Namespace) -> int:
    layout = Layout(options.folder)
    files = [layout.log(options.component)] if options.component else sorted(layout.logs.glob("*.log"))
    if not files or not files[0].exists():
        there = ", ".join(sorted(file.stem for file in layout.logs.glob("*.log"))) or "none"
        raise DevclusterError(f"no such log; there are: {there}")
    sys.stdout.flush()
    follow = ["-F"] if options.follow else []
    os.execvp("tail", ["tail", "-n", str(LOG_LINES), *follow, *map(str, files)])  # noqa: S606, S607
