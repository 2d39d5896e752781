"""What cost optimization logs: ``kubectl logs -l component=cost-optimization`` and its decision log.

Decisions take days to show what they were worth, so each sample reads the tails of the logs anew and
nothing is remembered: what is older than the logs hold is not known, also after a restart.
"""

import asyncio
from collections.abc import Iterable

from kiro_operator import ports
from kiro_operator.adapters.kubernetes import exec as pod_exec
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.log_text import Line, readable
from kiro_operator.adapters.kubernetes.unobserved import unobserved
from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.objects import Pod
from kiro_operator.core.optimizations import ABSENT, merged
from kiro_operator.core.permissions import Rule
from kiro_operator.core.records import DecisionRecord
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved
from kiro_operator.core.writes import Operation, Write, runs

RULES = (
    Rule(
        "",
        ("pods/log",),
        ("get",),
        "the checks on optimization decisions read what cost optimization logs",
    ),
)
FILE = "/var/log/kiro/decisions.log"
WORD = "optimization"
"""What a line of the decision log holds that is about an optimization."""
COMPONENT = ("component", "cost-optimization")
PODS = 4
"""Pods that are read in one sample, by name."""
LOG_LINES = 2000
LIMIT = 262_144
"""Bytes of one log."""
WITHIN = 5.0
"""Seconds for one log."""
ADMITTED = (
    Write(
        by="optimization-decisions",
        api_version="v1",
        resources=("pods/exec",),
        operations=(Operation.CONNECT,),
        musts=runs(("tail", "-c", str(LIMIT), FILE)),
    ),
)

NO_COMPONENT = Unobserved(
    NOT_CONFIGURED,
    f"no selected pod has the label {COMPONENT[0]}={COMPONENT[1]}, so nobody logs optimization decisions",
)
NOT_RUNNING = Unobserved("NoPods", f"no pod with the label {COMPONENT[0]}={COMPONENT[1]} runs")
_NO_FILE = "no such file"
_NO_PROGRAM = "executable file not found"


class _Found:
    """What has been read of one pod."""

    def __init__(self, mapping: RecordsEvidence) -> None:
        self._mapping = mapping
        self.records: list[DecisionRecord] = []
        self.malformed = 0
        self.missing: dict[str, Unobserved] = {}
        self.read = 0
        """Logs that could be read."""

    async def take(self, lines: Iterable[str]) -> None:
        text = await readable([Line(0, line) for line in lines if "{" in line], self._mapping)
        self.records += [one for one in text.records if isinstance(one, DecisionRecord)]
        self.malformed += text.malformed
        self.read += 1


class DecisionLog:
    """Samples both logs of each pod of cost optimization."""

    source = OPTIMIZATIONS
    rules = (*RULES, *pod_exec.RULES)

    def __init__(self, client: Client, file: str = FILE) -> None:
        self._client = client
        self._file = file

    async def observe(self, request: ports.PollRequest) -> Optimizations | Unobserved:
        """All decisions and opportunities that the tails of the logs hold."""
        pods = request.snapshot.pods
        if isinstance(pods, Unobserved):
            return pods
        labelled = [pod for pod in pods if pod.metadata.labels.get(COMPONENT[0]) == COMPONENT[1]]
        if not labelled:
            return NO_COMPONENT
        running = sorted(
            (pod for pod in labelled if pod.status.phase == "Running"), key=lambda pod: pod.metadata.name
        )
        if not running:
            return NOT_RUNNING
        pods_found = await asyncio.gather(*(self._pod(pod, request) for pod in running[:PODS]))
        missing: dict[str, Unobserved] = {}
        for found in pods_found:
            missing = found.missing | missing
        told = tuple(missing[name] for name in sorted(missing))
        if told and not any(found.read for found in pods_found):
            return told[0]
        return Optimizations(
            # In the order of pods and logs: of one second, what comes last counts.
            merged(record for found in pods_found for record in found.records),
            sum(found.malformed for found in pods_found),
            told,
        )

    async def _pod(self, pod: Pod, request: ports.PollRequest) -> _Found:
        found = _Found(request.spec.record_fields)
        container = _container(pod, request.spec.logs.containers)
        await self._log(request.namespace, pod.metadata.name, container, found)
        await self._decisions(request.namespace, pod.metadata.name, container, found)
        return found

    async def _log(self, namespace: str, pod: str, container: str, found: _Found) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container, "tailLines": str(LOG_LINES), "limitBytes": str(LIMIT)}
        try:
            async with asyncio.timeout(WITHIN):
                content = await self._client.get_text(path, **query)
        except (ports.ApiError, ports.Unreachable, TimeoutError) as error:
            found.missing["log"] = unobserved(error, RULES[0], namespace, "the logs of cost optimization")
            return
        await found.take(_lines(content, whole=len(content) < LIMIT))

    async def _decisions(self, namespace: str, pod: str, container: str, found: _Found) -> None:
        """The end of the decision log, where the newest are; there is no shell to pipe it through grep."""
        command = ("tail", "-c", str(LIMIT), self._file)
        try:
            done = await pod_exec.execute(
                self._client, namespace, pod, container, command, within=WITHIN, limit=LIMIT + 1
            )
        except (ports.ApiError, ports.Unreachable, TimeoutError) as error:
            known = unobserved(error, pod_exec.RULES[0], namespace, "the decision log")
            if _NO_PROGRAM in str(error):
                text = f"pod {pod} has no tail to read {self._file} with: log the decisions as well"
                known = Unobserved("CommandNotFound", text)
            found.missing["file"] = known
            return
        if done.status:
            found.missing["file"] = self._unreadable(pod, done.errors)
            return
        texts = _lines(done.output, whole=not done.truncated)
        # The first line is only the end of one when there is more before it.
        begin = 1 if len(done.output) >= LIMIT else 0
        await found.take(line for line in texts[begin:] if WORD in line)

    def _unreadable(self, pod: str, errors: bytes) -> Unobserved:
        if _NO_FILE in errors.decode("utf-8", "replace").lower():
            return Unobserved(ABSENT, f"pod {pod} has no {self._file}: mount it into the pod")
        return Unobserved("Refused", f"pod {pod} does not let {self._file} be read: check its mode")


def _container(pod: Pod, wanted: Iterable[str]) -> str:
    names = [container.name for container in pod.spec.containers]
    return next((name for name in wanted if name in names), names[0] if names else "")


def _lines(content: bytes, *, whole: bool) -> list[str]:
    """Lines of a text; the last one goes when it is cut off."""
    lines = content.decode("utf-8", "replace").replace("\0", "").splitlines()
    return lines if whole or not lines else lines[:-1]
