"""One run of a scenario: with one fault at one mutation, or with none, to learn what it comes to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devcluster import ControlPlane
from devcluster.errors import ApiError, WaitTimeout
from devcluster.operator import OperatorProcess
from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Fault, Request
from devcluster.wait import until
from tests.faults.matrix import oracle
from tests.faults.matrix.audit import accepted, events_of
from tests.faults.matrix.kinds import KINDS, Kind, Patient
from tests.faults.matrix.mutations import Mutation, kind_of, recorded
from tests.faults.matrix.scenarios import Outcome, Scenario, outcome
from tests.harness.world import World

CONVERGE_SECONDS = 60.0
"""How long after the end of a fault the outcome may take."""
RUN_SECONDS = 120.0
"""How long a run without a fault may take, and one may take until its fault."""
QUIET_SECONDS = 1.5
"""Without a mutation for so long, nothing more is coming: what the operator does, it does within
milliseconds, and what it waits for is waited for as an outcome."""
LOOK_SECONDS = 0.3
LEASE = ("--lease-duration", "4.0", "--lease-renew-deadline", "3.0", "--lease-retry-period", "0.7")


@dataclass(frozen=True)
class Baseline:
    """What a run without a fault does, and comes to."""

    scenario: Scenario
    mutations: tuple[Mutation, ...]
    outcome: Outcome
    actions: dict[str, int]
    """By remedy."""


@dataclass(frozen=True)
class Case:
    """One fault at one mutation of a scenario."""

    scenario: str
    kind: str
    mutation: Mutation

    def __str__(self) -> str:
        return f"{self.scenario}: {self.kind} at {self.mutation}"


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    reached: bool
    """Whether the mutation came, so that the fault was there."""
    seconds: float = 0.0
    """From the end of the fault until all was as without it."""
    violations: tuple[oracle.Violation, ...] = ()
    trouble: str = ""
    """Why it is not as without the fault; empty when it is."""
    starts: int = 1
    """How often an operator was started."""
    log: str = ""
    """The end of the operators' logs, for a case that went wrong."""

    @property
    def good(self) -> bool:
        """Whether all held."""
        return not self.violations and not self.trouble


@dataclass
class Run:
    """A scenario under way."""

    scenario: Scenario
    world: World
    proxy: FaultProxy
    operator: OperatorProcess
    successor: OperatorProcess | None = None
    starts: int = 0
    paused: bool = False
    fault: Fault | None = None
    patient: Patient = field(init=False)

    def __post_init__(self) -> None:
        self.patient = Patient(self.proxy, self._kill, self._pause)

    def _kill(self) -> None:
        self.operator.kill()

    def _pause(self) -> None:
        self.operator.pause()
        self.paused = True

    def start(self) -> None:
        """Start the operator; nobody waits for it."""
        self.operator.start(wait=False)
        self.starts += 1

    def go_on(self) -> None:
        """Do what kubelet and world do."""
        if not self.paused and not self.operator.running:
            self.start()
        if self.paused and self.successor is None:
            self.successor = self.world.operator(*LEASE, server=self.proxy.url, start=False)
        if self.successor is not None and not self.successor.running:
            self.successor.start(wait=False)
            self.starts += 1
        self.scenario.drive(self.world)

    def last_mutation(self) -> float:
        """When it was sent, by the monotonic clock; 0 for none yet."""
        return next((seen.at for seen in reversed(self.proxy.requests) if kind_of(seen)), 0.0)

    def quiet(self) -> bool:
        """Whether no mutation has come for a while."""
        return time.monotonic() - self.last_mutation() >= QUIET_SECONDS

    def evidence(self, usual: dict[str, int]) -> oracle.Evidence:
        """What is left of it."""
        account = f"system:serviceaccount:{self.world.namespace}:operator"
        plane = self.world.plane
        return oracle.Evidence(
            namespace=self.world.namespace,
            writes=accepted(events_of(plane.audit_log, self.world.offset, account), account),
            intents=self.world.remediations(),
            budget=self.scenario.budget,
            remedies=self.scenario.remedies,
            usual=usual,
        )


@contextmanager
def running(plane: ControlPlane, scenario: Scenario, folder: Path) -> Iterator[Run]:
    """A namespace of its own with all that the scenario needs, and an operator that is not started yet."""
    name = f"matrix-{uuid.uuid4().hex[:10]}"
    plane.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    until(lambda: _has_account(plane, name), f"the default service account of {name}", 30)
    (folder / name).mkdir(parents=True)
    world = World(plane, name, folder / name)
    try:
        scenario.set(world)
        with FaultProxy(plane) as proxy:
            proxy.record_reads()
            yield Run(scenario, world, proxy, world.operator(*LEASE, server=proxy.url, start=False))
    finally:
        world.close()
        plane.rest.delete(f"/api/v1/namespaces/{name}")


def _has_account(plane: ControlPlane, namespace: str) -> bool:
    try:
        plane.rest.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


def record(plane: ControlPlane, scenario: Scenario, folder: Path) -> Baseline:
    """Run without a fault.

    Raises:
        AssertionError: It does not come to what the scenario promises.
    """
    with running(plane, scenario, folder) as run:
        run.start()

        def over() -> Outcome | None:
            run.go_on()
            if not run.quiet():
                return None
            now = outcome(run.world)
            done = sum(number for _, number in now.acted)
            return now if done == scenario.actions and not now.running else None

        try:
            ended = until(over, f"{scenario.name} to be over", RUN_SECONDS, every=LOOK_SECONDS)
        except WaitTimeout as error:
            raise AssertionError(f"{error}\n{run.world.log_tail()}") from error
        usual = {remedy.name: scenario.actions for remedy in scenario.remedies}
        violations = oracle.judge(run.evidence(usual))
        assert not violations, f"without a fault: {violations}"
        return Baseline(scenario, tuple(recorded(run.proxy.requests)), ended, usual)


def play(plane: ControlPlane, baseline: Baseline, case: Case, folder: Path) -> Result:
    """Run with a fault, and judge what comes of it."""
    kind = KINDS[case.kind]
    with running(plane, baseline.scenario, folder) as run:
        run.fault = kind.arm(run.patient, case.mutation.matcher())
        run.start()
        reached, seconds, trouble = _follow(run, baseline, kind)
        if run.paused:
            trouble = trouble or _go_on(run)
        violations = tuple(oracle.judge(run.evidence(baseline.actions))) if reached else ()
        bad = trouble or violations
        log = f"{run.world.describe()}\n{run.world.log_tail()}" if bad else ""
        return Result(case, reached, seconds, violations, trouble, run.starts, log)


def _follow(run: Run, baseline: Baseline, kind: Kind) -> tuple[bool, float, str]:
    """Follow a run to its end: whether its fault came, the seconds from there, and what is wrong."""
    began = time.monotonic()
    seen: list[Outcome] = []

    def ended() -> tuple[bool, float, str] | None:
        hit, over = _hit(run), _over(run, kind)
        run.go_on()
        at = time.monotonic()
        if run.quiet() and (hit is None or over is not None):
            seen[:] = [outcome(run.world)]
            if seen == [baseline.outcome]:
                return hit is not None, max(0.0, run.last_mutation() - (over or at)), ""
        if over is not None and at > over + CONVERGE_SECONDS:
            return True, at - over, f"{seen}\ninstead of {baseline.outcome}"
        if hit is None and at > began + RUN_SECONDS:
            return True, 0.0, f"neither the fault nor the outcome came: {seen}"
        return None

    return until(ended, "the run to end", CONVERGE_SECONDS + 2 * RUN_SECONDS, every=LOOK_SECONDS)


def _hit(run: Run) -> Request | None:
    """The request that the fault was for; None as long as it has not come."""
    return run.fault.hits[0] if run.fault and run.fault.hits else None


def _over(run: Run, kind: Kind) -> float | None:
    """When the fault was over, by the monotonic clock; None as long as it lasts."""
    hit = _hit(run)
    if hit is None:
        return None
    end = hit.at + kind.seconds
    if time.monotonic() < end:
        return None
    run.patient.see()
    return end


def _go_on(run: Run) -> str:
    """Let the paused operator go on: it has to find that it does not lead any more, and end."""
    run.operator.resume()
    try:
        until(lambda: not run.operator.running, "the end of the operator that was paused", 20)
        until(run.quiet, "no more mutations", 20)
    except WaitTimeout as error:
        return str(error)
    return ""
