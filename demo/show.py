"""The order of events: boot, install, the scenes, and what is said at the end."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from demo.cluster import NAMESPACE
from demo.stage import Outcome, Scene, SceneFailed, Screen, Stage
from demo.world import World
from devcluster import build, control
from devcluster.errors import DevclusterError
from devcluster.wait import until

PLAY_ERRORS = (
    SceneFailed,
    DevclusterError,
    OSError,
    RuntimeError,
    http.client.HTTPException,
    subprocess.SubprocessError,
)
"""What a scene may end with: its promise not kept, or the control plane or the operator not answering."""
WIDTH = 100
RENEW_SECONDS = 1800.0


def prepare(world: World, screen: Screen) -> None:
    """Boot and install."""
    screen.say("A control plane of its own is booted: etcd, API server, controllers, scheduler, kwok.")
    started = time.monotonic()
    world.boot()
    screen.say(
        f"Ready after {time.monotonic() - started:.1f} s. Kiro and the operator are installed with kubectl."
    )
    world.install()
    screen.say(f"Installed after {time.monotonic() - started:.1f} s; all pods of {NAMESPACE} are ready.")


def play(world: World, screen: Screen, scenes: Sequence[Scene]) -> list[Outcome]:
    """Play the scenes; after one that fails, the others would only fail after it."""
    stage = Stage(world, screen)
    outcomes: list[Outcome] = []
    for number, scene in enumerate(scenes, 1):
        screen.opens(scene, number, len(scenes))
        started, problem = time.monotonic(), ""
        try:
            scene.play(stage)
        except PLAY_ERRORS as error:
            problem = str(error) or type(error).__name__
        outcomes.append(Outcome(scene, time.monotonic() - started, problem))
        screen.say(f"=== {scene.name}: {problem or 'as promised'} ({outcomes[-1].seconds:.1f} s)")
        if problem:
            break
    return outcomes


def tell(outcomes: Sequence[Outcome], scenes: Sequence[Scene]) -> bool:
    """Print how the scenes ended; returns whether all did as promised."""
    table = Table(title="The demo", title_justify="left")
    for column in ("scene", "promise", "outcome"):
        table.add_column(column, overflow="fold")
    table.add_column("seconds", justify="right")
    for outcome in outcomes:
        result = "[red]not as promised" if outcome.problem else "[green]as promised"
        table.add_row(outcome.scene.name, outcome.scene.promise, result, f"{outcome.seconds:.1f}")
    for scene in scenes[len(outcomes) :]:
        table.add_row(scene.name, scene.promise, "not played", "-")
    Console(width=WIDTH).print(table)
    for outcome in outcomes:
        if outcome.problem:
            print(f"{outcome.scene.name}: {outcome.problem}", file=sys.stderr)
    return len(outcomes) == len(scenes) and not any(outcome.problem for outcome in outcomes)


def explain(world: World, *, kept: bool) -> None:
    """Print how to look further."""
    tools = build.program("kubectl").parent
    print(
        "To explore it yourself:" if kept else "To explore it yourself, keep it: python -m demo --keep. Then:"
    )
    print(f"  export KUBECONFIG={world.plane.kubeconfig} PATH={tools}:$PATH")
    for command in (
        f"get khc,ksp,krem -n {NAMESPACE}",
        f"describe khc kiro -n {NAMESPACE}",
        f"get events -n {NAMESPACE} --sort-by=.metadata.creationTimestamp",
        f"wait khc/kiro -n {NAMESPACE} --for=condition=Healthy --timeout=60s",
        f"annotate pod -n {NAMESPACE} POD devcluster.kiro.dev/fault=crash-loop",
    ):
        print(f"  kubectl {command}")
    sys.stdout.flush()


def keep(world: World) -> None:
    """Leave everything up until Ctrl-C, or until the control plane is ended from elsewhere."""
    print(
        f"Everything stays up until Ctrl-C or: python -m devcluster down --folder {world.folder}", flush=True
    )
    renewed = time.monotonic()

    def ended() -> bool:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            world.renew_token()
            renewed = time.monotonic()
        time.sleep(1.0)
        return not control.is_running(world.folder)

    until(ended, "the end", float("inf"))
