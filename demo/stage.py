"""What a scene is, and what it can do: tell, break, wait with a limit, and hold the promise."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from demo.cluster import NAMESPACE, Cluster, is_ready
from demo.world import World
from devcluster import faults
from devcluster.errors import WaitTimeout
from devcluster.wait import until

T = TypeVar("T")
Object = dict[str, Any]

PATIENCE_SECONDS = 90.0
"""How long a scene waits for anything, on a machine that has other work as well."""


class SceneFailed(Exception):
    """A scene did not end as promised; the text says what was missing."""


class Screen(Protocol):
    """Where the demo is told."""

    def opens(self, scene: Scene, number: int, total: int) -> None:
        """A scene begins."""

    def say(self, line: str) -> None:
        """Something happened."""

    def pictures(self) -> None:
        """This moment is worth a picture."""

    def close(self) -> None:
        """Nothing more will be told here."""


@dataclass(frozen=True)
class Scene:
    """One scene of the demo.

    Attributes:
        name: For `--scene`.
        title: What happens, in a few words.
        promise: What holds at its end; `play` checks it against the API server.
        play: Plays it; raises SceneFailed when the promise is not kept.
    """

    name: str
    title: str
    promise: str
    play: Callable[[Stage], None]


@dataclass(frozen=True)
class Outcome:
    """How a scene ended; `problem` is empty when it did as promised."""

    scene: Scene
    seconds: float
    problem: str = ""


class Stage:
    """What a scene plays on."""

    def __init__(self, world: World, screen: Screen) -> None:
        self.world = world
        self._screen = screen

    @property
    def cluster(self) -> Cluster:
        """What is read from the API server."""
        return self.world.cluster

    # --- telling ----------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Tell what happens."""
        self._screen.say(line)
        self.world.recorder.comment(line)

    def show(self, *arguments: str) -> None:
        """Run a kubectl command for the recorded session; without one there is nobody to show it to."""
        if self.world.recorder.wanted:
            self.world.kubectl(*arguments)

    def kubectl(self, *arguments: str) -> None:
        """Run a kubectl command that changes something, and tell of it."""
        self._screen.say(f"$ kubectl {shlex.join(arguments)}")
        self.world.kubectl(*arguments)

    def run_as(self, user: str, group: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as a user of that group would, as it stands in a status."""
        self._screen.say(f"$ {command}")
        return self.world.run_as(user, group, command)

    def picture(self) -> None:
        """Say that this moment is worth a picture."""
        self._screen.pictures()

    # --- the operator -----------------------------------------------------------------------------

    def with_operator(self) -> None:
        """Have the operator run."""
        if not self.world.operator_runs:
            self.world.start_operator()
            self.say("The operator is started, with its own ServiceAccount and no other rights.")

    def without_operator(self) -> None:
        """Have the operator not run."""
        if self.world.operator_runs:
            self.world.stop_operator()
            self.say("The operator is stopped.")

    # --- breaking ---------------------------------------------------------------------------------

    def break_pods(
        self, deployment: str, fault: str, *, count: int = 1, every: str | None = None
    ) -> list[str]:
        """Break the first pods of a Deployment that are ready; returns their names."""
        ready = [pod for pod in self.cluster.pods(f"{deployment}-") if is_ready(pod)]
        names = [str(pod["metadata"]["name"]) for pod in ready[:count]]
        if len(names) < count:
            raise SceneFailed(
                f"{deployment} has {len(names)} ready pods, not the {count} that are to be broken"
            )
        faults.inject_many(
            self.world.plane, [(NAMESPACE, name) for name in names], fault, restart_every=every
        )
        return names

    def mend_pods(self, names: list[str]) -> None:
        """Take the fault away again."""
        faults.clear_many(self.world.plane, [(NAMESPACE, name) for name in names])

    # --- waiting and holding ----------------------------------------------------------------------

    def expect(self, what: str, condition: Callable[[], T | None], timeout: float = PATIENCE_SECONDS) -> T:
        """Wait until the condition gives something truthy, and return that.

        Raises:
            SceneFailed: It did not within the time, or the operator ended meanwhile.
        """
        expected_to_run = self.world.operator_runs

        def look() -> T | None:
            if expected_to_run and not self.world.operator_runs:
                raise SceneFailed(f"the operator ended while the demo waited for {what}")
            return condition()

        try:
            return until(look, what, timeout)
        except WaitTimeout as error:
            raise SceneFailed(str(error)) from error

    def expect_condition(self, kind: str, status: str, reason: str = "") -> Object:
        """Wait until a condition of the KiroHealthCheck has a status, and a reason if one is given."""

        def reached() -> Object | None:
            found = self.cluster.condition(kind)
            return found if found.get("status") == status and reason in {"", found.get("reason")} else None

        try:
            return self.expect(f"{kind}={status} {reason}".strip(), reached)
        except SceneFailed as error:
            raise SceneFailed(f"{error}; the condition is {self.cluster.condition(kind)}") from error

    def expect_check(self, check_id: str, status: str, reason: str = "") -> Object:
        """Wait until a check has a status, and a reason if one is given; returns its verdict."""

        def reached() -> Object | None:
            found = self.cluster.check(check_id)
            return found if found.get("status") == status and reason in {"", found.get("reason")} else None

        try:
            return self.expect(f"{check_id} {status} {reason}".strip(), reached)
        except SceneFailed as error:
            raise SceneFailed(f"{error}; the verdict is {self.cluster.check(check_id)}") from error

    def expect_remediation(self, known: set[str], state: str = "Succeeded") -> Object:
        """Wait until a KiroRemediation that was not known before reaches a state."""

        def reached() -> Object | None:
            fresh = [each for each in self.cluster.remediations() if each["metadata"]["name"] not in known]
            return next((each for each in fresh if each.get("status", {}).get("state") == state), None)

        return self.expect(f"a KiroRemediation {state}", reached)

    def never(self, what: str, condition: Callable[[], object], seconds: float) -> None:
        """Hold for some time that something does not happen."""
        deadline = time.monotonic() + seconds

        def decided() -> str:
            if condition():
                return "happened"
            return "" if time.monotonic() < deadline else "time is over"

        if self.expect(f"{seconds:g} s to pass", decided, seconds + PATIENCE_SECONDS) == "happened":
            raise SceneFailed(f"this was not to happen: {what}: {condition()}")

    def hold(self, truth: object, what: str) -> None:
        """Hold what must be true now."""
        if not truth:
            raise SceneFailed(f"promised and not so: {what}")

    def remediation_names(self) -> set[str]:
        """The KiroRemediations that there are by now."""
        return {str(each["metadata"]["name"]) for each in self.cluster.remediations()}

    def well(self) -> None:
        """Wait until everything is well and nothing waits for a person."""
        for name in ("kiro", "autonomous-operations", "mcp-server"):
            self.expect(f"all pods of {name}", lambda name=name: self.cluster.is_whole(name))  # type: ignore[misc]
        self.expect_condition("Healthy", "True")
        self.expect_condition("Escalated", "False")
