"""One run of a scenario: with one fault at one mutation, or with none, to learn what it comes to."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devcluster import ControlPlane
from devcluster.errors import ApiError, WaitTimeout
from devcluster.operator import OperatorProcess
from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Fault, Request
from devcluster.wait import until
from tests.deploy.rights import Installed, Right
from tests.faults.matrix import oracle
from tests.faults.matrix.audit import FIRST_REFUSAL, accepted
from tests.faults.matrix.kinds import UNUSED_SECONDS, Kind, Patient, of_rights
from tests.faults.matrix.kinds import kind as kind_named
from tests.faults.matrix.mutations import Mutation, kind_of, recorded
from tests.faults.matrix.rights import named, used
from tests.faults.matrix.scenario import Scenario
from tests.faults.matrix.scenarios import Outcome, outcome

CONVERGE_SECONDS = 60.0
"""How long after the end of a fault the outcome may take."""
RUN_SECONDS = 120.0
"""How long a run without a fault may take, and one may take until its fault."""
QUIET_SECONDS = 1.5
"""Without a mutation for so long, nothing more is coming: what the operator does, it does within
milliseconds, and what it waits for is waited for as an outcome."""
LOOK_SECONDS = 0.3
LEASE_SECONDS = 4.0
LEASES = "/apis/coordination.k8s.io/v1"
FORBIDDEN, CONFLICT = 403, 409
LOST = "lost the lease"
"""What an operator says that ends because it may not act any more."""
LEASE = (
    "--lease-duration",
    str(LEASE_SECONDS),
    "--lease-renew-deadline",
    "3.0",
    "--lease-retry-period",
    "0.7",
)


@dataclass(frozen=True)
class Baseline:
    """What a run without a fault does, and comes to."""

    scenario: Scenario
    mutations: tuple[Mutation, ...]
    outcome: Outcome
    actions: dict[str, int]
    """By remedy."""
    rights: tuple[str, ...]
    """The kinds of faults that take away a right that it needed."""


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
    world: Installed
    proxies: list[FaultProxy]
    """Before the operator, and before its successor."""
    stack: ExitStack
    operator: OperatorProcess
    starts: int = 0
    crashes: int = 0
    """How often one has ended by itself, and not because it had lost its Lease."""
    killed: bool = False
    paused: float = 0.0
    """When it was, by the monotonic clock."""
    fault: Fault | None = None
    told: list[str] = field(default_factory=list)
    """What the status said while a right was missing."""
    patient: Patient = field(init=False)

    def __post_init__(self) -> None:
        self.patient = Patient(self.world, self.proxies[0], self._kill, self._pause)
        self._current = self.operator
        self._begun: dict[Path, int] = {}
        """How long each log was when the process that writes it now was started."""

    def _kill(self) -> None:
        self.killed = True
        self.operator.kill()

    def _pause(self) -> None:
        self.operator.pause()
        self.paused = time.monotonic()

    def start(self) -> None:
        """Start the operator; nobody waits for it."""
        log = self._current.log
        self._begun[log] = log.stat().st_size if log.exists() else 0
        self._current.start(wait=False)
        self.starts += 1

    def ended(self, operator: OperatorProcess) -> None:
        """It has ended by itself: it has crashed, unless its own log says that it had lost its Lease."""
        said = operator.log.read_bytes()[self._begun[operator.log] :]
        self.crashes += LOST.encode() not in said

    def go_on(self) -> None:
        """Do what kubelet and world do."""
        if self.paused and self._current is self.operator:
            proxy = self.stack.enter_context(FaultProxy(self.world.plane))
            self.proxies.append(proxy)
            flags = (*LEASE, *self.scenario.flags(self.world))
            self._current = self.world.operator(*flags, server=proxy.url, start=False)
            self.start()
        if not self._current.running:
            if self.killed:
                # As if it had run out: whoever is dead does not come back, and waiting for it shows nothing.
                self.world.plane.rest.delete(self.world.path("leases", "kiro-operator", api=LEASES))
            else:
                self.ended(self._current)
            self.killed = False
            self.start()
        self.scenario.drive(self.world)

    def last_mutation(self) -> float:
        """When it was sent, by the monotonic clock; 0 for none yet."""
        sent = (seen.at for proxy in self.proxies for seen in tuple(proxy.requests) if kind_of(seen))
        return max(sent, default=0.0)

    def late(self) -> list[str]:
        """What the operator that was paused changed when its Lease had run out.

        A reservation on its way does not count: it is a compare-and-swap, and makes a budget smaller.
        """
        if not self.paused or self.fault is None:
            return []
        return [
            f"{seen.method} {seen.path}: {seen.status}"
            for seen in tuple(self.proxies[0].requests)
            if kind_of(seen) and seen.forwarded and seen.status < FIRST_REFUSAL
            if seen.at > self.paused + LEASE_SECONDS or seen in self.fault.hits
            if "/kirosafetypolicies/" not in seen.path
        ]

    def refused(self, right: Right) -> list[Request]:
        """The requests that were refused for want of a right since it was taken away."""
        since = self.fault.hits[0].at if self.fault and self.fault.hits else time.monotonic()
        return [
            seen
            for seen in tuple(self.proxies[0].requests)
            if seen.at > since and seen.status == FORBIDDEN and used(right, [seen])
        ]

    def log(self) -> str:
        """What the operators wrote."""
        return "\n".join(each.read_text() for each in self.world.folder.glob("*.log"))

    def is_told(self, resource: str) -> bool:
        """Whether a log, a status or a record says that something is forbidden, and names the resource."""
        texts = [*self.told, json.dumps(self.world.remediations()), *self.log().splitlines()]
        # As the API server says it, however often it was quoted since, or as the rule to add.
        names = re.compile(rf"""resource \\*"{resource}\\*"|'{resource}'""")
        return any("orbidden" in text and names.search(text) for text in texts)

    def quiet(self) -> bool:
        """Whether no mutation has come for a while."""
        return time.monotonic() - self.last_mutation() >= QUIET_SECONDS

    def evidence(self, usual: dict[str, int]) -> oracle.Evidence:
        """What is left of it."""
        account = f"system:serviceaccount:{self.world.namespace}:operator"
        plane = self.world.plane
        return oracle.Evidence(
            namespace=self.world.namespace,
            writes=accepted(plane.audit_events(self.world.offset, naming=account), account),
            intents=self.world.remediations(),
            budget=self.scenario.budget,
            remedies=self.scenario.remedies,
            usual=usual,
            manual=self.scenario.manual,
            approvals=self.world.items("kiroapprovals"),
            late=self.late(),
            crashes=self.crashes,
        )


@contextmanager
def running(plane: ControlPlane, scenario: Scenario, folder: Path) -> Iterator[Run]:
    """A namespace of its own with all that the scenario needs, and an operator that is not started yet."""
    name = f"matrix-{uuid.uuid4().hex[:10]}"
    plane.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    until(lambda: _has_account(plane, name), f"the default service account of {name}", 30)
    (folder / name).mkdir(parents=True)
    world = scenario.world(plane, name, folder / name)
    try:
        scenario.set(world)
        with ExitStack() as stack:
            proxy = stack.enter_context(FaultProxy(plane))
            proxy.record_reads()
            operator = world.operator(*LEASE, *scenario.flags(world), server=proxy.url, start=False)
            yield Run(scenario, world, [proxy], stack, operator)
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
            now = outcome(run.world, run.scenario)
            done = sum(number for _, number in now.acted)
            acted = done >= scenario.actions and not now.running
            return now if acted and scenario.is_over(run.world) else None

        try:
            ended = until(over, f"{scenario.name} to be over", RUN_SECONDS, every=LOOK_SECONDS)
        except WaitTimeout as error:
            raise AssertionError(f"{error}\n{run.world.log_tail()}") from error
        usual = {remedy.name: scenario.actions for remedy in scenario.remedies}
        evidence = run.evidence(usual)
        assert not (wrong := oracle.judge(evidence)), f"without a fault: {wrong}"
        # A record that tells of an action is none: whatever is held against this run has to have it.
        assert (done := oracle.done(evidence)) == usual, f"without a fault: {done} instead of {usual}"
        requests = run.proxies[0].requests
        # One that is not granted here is none that could be taken away.
        held = [seen for seen in requests if seen.status != FORBIDDEN]
        rights = [name for name, kind in of_rights().items() if kind.missing and used(kind.missing, held)]
        # What lost its fence and was sent again may not be sent twice the next time.
        written = [seen for seen in requests if seen.status != CONFLICT]
        return Baseline(scenario, tuple(recorded(written)), ended, usual, tuple(rights))


def play(plane: ControlPlane, baseline: Baseline, case: Case, folder: Path) -> Result:
    """Run with a fault, and judge what comes of it."""
    kind = kind_named(case.kind)
    with running(plane, baseline.scenario, folder) as run:
        run.fault = kind.arm(run.patient, case.mutation.matcher())
        run.start()
        reached, seconds, trouble = _follow(run, baseline, kind)
        if run.paused:
            trouble = trouble or _go_on(run, baseline)
        if kind.missing:
            reached = bool(trouble or run.refused(kind.missing))
        if kind.missing and reached and not run.is_told(kind.missing.resource):
            trouble = trouble or f"nobody is told that the right to {named(kind.missing)} is missing"
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
        if kind.missing and hit is not None and over is None:
            run.told.append(run.world.describe())
        at = time.monotonic()
        if run.quiet() and (hit is None or over is not None):
            seen[:] = [outcome(run.world, run.scenario)]
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
    begun = hit.at
    if kind.missing:
        refused = run.refused(kind.missing)
        begun = refused[0].at if refused else hit.at + UNUSED_SECONDS - kind.seconds
    end = begun + kind.seconds
    if time.monotonic() < end:
        return None
    run.patient.see()
    return end


def _answered(run: Run) -> bool:
    """Whether what the paused operator was about to write has arrived, if it was to."""
    return run.fault is None or not run.fault.forward or all(hit.status for hit in run.fault.hits)


def _go_on(run: Run, baseline: Baseline) -> str:
    """Let the paused operator go on: it has to find that it does not lead any more, and end."""
    run.patient.released.set()
    try:
        until(lambda: _answered(run), "the answer to what was held", 20)
        run.operator.resume()
        until(lambda: not run.operator.running, "the end of the operator that was paused", 20)
        run.ended(run.operator)
        until(
            lambda: run.quiet() and outcome(run.world, run.scenario) == baseline.outcome,
            "what it came to before",
            20,
        )
    except WaitTimeout as error:
        return str(error)
    return ""
