"""The polled source ``steering``: ConfigMaps and pods, one sample for all checks of the documents."""

import asyncio
import secrets
from collections.abc import Sequence

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes import exec as remote
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.adapters.steering import config_maps, files, remembered
from kiro_operator.adapters.steering.lint import Linter
from kiro_operator.adapters.steering.remembered import Remembered
from kiro_operator.api.v1alpha1.autonomy import OnDrift
from kiro_operator.api.v1alpha1.evidence.steering import SteeringEvidence, SteeringPods
from kiro_operator.core.evidence.steering import (
    STEERING,
    Document,
    Environment,
    Holder,
    Mount,
    Replica,
    Steering,
)
from kiro_operator.core.findings import clip
from kiro_operator.core.objects import Pod
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.selectors import selector_of
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

RULES = (
    Rule(
        "",
        ("configmaps",),
        ("get",),
        "the checks of steering documents and hooks read the ConfigMaps that spec.steering names",
    ),
    Rule(
        "",
        ("pods",),
        ("get",),
        "steering-permissions reads with which modes a pod mounts the ConfigMaps of steering documents",
    ),
)
LARGEST = 1_048_576
"""Bytes of one document."""
TOTAL = 1_572_864
"""Bytes of all documents together."""
FILES = 128
LISTED = 20_000
"""Files of a workspace."""
WITHIN = 10.0
"""Seconds for one command."""
LOOKED_AT = 3
"""Pods of which the mounts are looked at."""

_NO_PODS = Unobserved("NoPods", "No selected pod of spec.steering.pods runs, so its files cannot be read.")


class SteeringSource:
    """Samples steering documents, hooks and MCP settings."""

    source = STEERING
    rules = (*RULES, *remote.RULES, *remembered.RULES)

    def __init__(self, client: Client, linter: Linter | None = None) -> None:
        self._client = client
        self._linter = linter or Linter()
        self._remembered = Remembered(client)

    async def observe(self, request: ports.PollRequest) -> Steering | Unobserved:
        """All documents that spec.steering names, and their history."""
        evidence = request.spec.steering
        if evidence is None:
            return Unobserved(NOT_CONFIGURED, "spec.steering is not set, so there are no documents to read")
        found = await self._config_maps(request, evidence)
        if isinstance(found, Unobserved):
            return found
        if evidence.pods is not None:
            inside = await self._pods(request, evidence.pods)
            if not isinstance(inside, Unobserved):
                found = _joined(found, inside)
            elif not evidence.config_maps:
                return inside
            else:
                found = msgspec.structs.replace(found, partial=inside)
        kept, left_out = _bounded(found.documents)
        complete = found.partial is None and not left_out
        lints = await self._linter.lint(kept)
        history = await self._remembered.record(request, _distinct(kept), complete=complete)
        restore = evidence.on_drift is OnDrift.RESTORE
        kept_good = await self._remembered.last_good(request) if restore else {}
        around = evidence.environment
        return msgspec.structs.replace(
            found,
            documents=kept,
            left_out=left_out,
            lints=lints,
            history=history,
            environment=Environment(
                around.name,
                tuple(around.others),
                tuple(around.regions),
                tuple(around.namespaces),
                tuple(around.hosts),
            ),
            restore=restore,
            kept=kept_good,
        )

    async def _config_maps(
        self, request: ports.PollRequest, evidence: SteeringEvidence
    ) -> Steering | Unobserved:
        documents: list[Document] = []
        holders: list[Holder] = []
        missing: list[str] = []
        for name in sorted(evidence.config_maps):
            what = f"ConfigMap {name}"
            try:
                body = await self._client.get(f"/api/v1/namespaces/{request.namespace}/configmaps/{name}")
                holder, found = config_maps.documents(body, LARGEST)
                holders.append(holder)
                documents += found
            except ports.NotFound:
                missing.append(name)
            except (ports.ApiError, ports.Unreachable) as error:
                return unobserved(error, RULES[0], request.namespace, what)
            except MALFORMED as error:
                return malformed(error, request.namespace, what)
        mounts = await self._mounts(request, evidence) if evidence.config_maps else ()
        return Steering(tuple(documents), tuple(missing), mounts, holders=tuple(holders))

    async def _mounts(
        self, request: ports.PollRequest, evidence: SteeringEvidence
    ) -> tuple[Mount, ...] | Unobserved:
        """How the first pod of each of a few workloads sees the ConfigMaps."""
        found: list[Mount] = []
        owners: set[str] = set()
        for pod in running(request, None):
            owner = _owner(pod)
            if owner in owners:
                continue
            if len(owners) >= LOOKED_AT:
                break
            owners.add(owner)
            path = f"/api/v1/namespaces/{request.namespace}/pods/{pod.metadata.name}"
            try:
                found += config_maps.mounts(await self._client.get(path), evidence.config_maps, "")
            except ports.NotFound:
                continue  # it went away
            except (ports.ApiError, ports.Unreachable) as error:
                return unobserved(error, RULES[1], request.namespace, f"Pod {pod.metadata.name}")
            except MALFORMED as error:
                return malformed(error, request.namespace, f"Pod {pod.metadata.name}")
        return tuple(found)

    async def _pods(self, request: ports.PollRequest, evidence: SteeringPods) -> Steering | Unobserved:
        """The documents of the first pod that answers, and the digests of all."""
        pods = alike(running(request, evidence))[: evidence.replicas]
        if not pods:
            return _NO_PODS
        answers = await asyncio.gather(*(self._pod(request.namespace, pod, evidence) for pod in pods))
        read = [
            (pod, answer)
            for pod, answer in zip(pods, answers, strict=True)
            if not isinstance(answer, Unobserved)
        ]
        if not read:
            return next(answer for answer in answers if isinstance(answer, Unobserved))
        documents = read[0][1]
        replicas = tuple(
            Replica(pod.metadata.name, {one.path: one.digest for one in answer if one.readable})
            for pod, answer in read
        )
        workspace = None
        if evidence.workspace and evidence.root != "/":
            workspace = await self._workspace(request.namespace, read[0][0], evidence)
        return Steering(documents, (), (), replicas, workspace)

    async def _pod(
        self, namespace: str, pod: Pod, evidence: SteeringPods
    ) -> tuple[Document, ...] | Unobserved:
        name = pod.metadata.name
        word = f"kiro-{secrets.token_hex(12)}"
        argv = files.command(evidence.root, word, LARGEST)
        done = await self._run(namespace, pod, evidence, argv, TOTAL)
        if isinstance(done, Unobserved):
            return done
        if done.truncated:
            return Unobserved(
                "TooLarge", f"Pod {name}: the documents below .kiro are too large to be read: have fewer"
            )
        found = files.parse(
            done.output, done.errors, root=evidence.root, word=word, origin=f"Pod {name}", limit=LARGEST
        )
        if found.failure:
            return Unobserved(
                "NotReadable",
                f"Pod {name}: the container needs find, stat, head and echo: {clip(found.failure, 200)}",
            )
        return found.documents

    async def _workspace(self, namespace: str, pod: Pod, evidence: SteeringPods) -> tuple[str, ...] | None:
        done = await self._run(namespace, pod, evidence, files.listing(evidence.root), TOTAL)
        if isinstance(done, Unobserved) or done.truncated or done.status:
            return None  # a list that is not whole proves nothing missing
        return files.paths(done.output, evidence.root, LISTED)

    async def _run(
        self, namespace: str, pod: Pod, evidence: SteeringPods, argv: Sequence[str], limit: int
    ) -> remote.Executed | Unobserved:
        name = pod.metadata.name
        container = evidence.container or pod.spec.containers[0].name
        try:
            return await remote.execute(
                self._client, namespace, name, container, argv, within=WITHIN, limit=limit
            )
        except TimeoutError:
            return Unobserved("Timeout", f"Pod {name}: its files could not be read within {WITHIN:g} s")
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, remote.RULES[0], namespace, f"the files of Pod {name}")


def running(request: ports.PollRequest, evidence: SteeringPods | None) -> list[Pod]:
    """The selected pods that run, by name."""
    pods = request.snapshot.pods
    if isinstance(pods, Unobserved):
        return []
    selector = selector_of(evidence.selector) if evidence is not None else None
    found = [
        pod
        for pod in pods
        if pod.status.phase == "Running"
        and pod.metadata.deletion_timestamp is None
        and pod.spec.containers
        and (selector is None or selector.matches(pod.metadata.labels))
    ]
    return sorted(found, key=lambda pod: pod.metadata.name)


def alike(pods: Sequence[Pod]) -> list[Pod]:
    """The pods that are replicas of the first one: others may well hold other documents."""
    return [pod for pod in pods if _owner(pod) == _owner(pods[0])]


def _owner(pod: Pod) -> str:
    return next((owner.uid for owner in pod.metadata.owner_references if owner.controller), pod.metadata.uid)


def _joined(one: Steering, other: Steering) -> Steering:
    return msgspec.structs.replace(
        one,
        documents=(*one.documents, *other.documents),
        replicas=other.replicas,
        workspace=other.workspace,
        partial=one.partial or other.partial,
    )


def _bounded(documents: Sequence[Document]) -> tuple[tuple[Document, ...], tuple[str, ...]]:
    """As many documents as there is room for, steering before all else, and the paths of the others."""
    kept: list[Document] = []
    left_out: list[str] = []
    room = TOTAL
    for document in sorted(documents, key=lambda one: (not one.is_steering, one.path, one.origin)):
        size = len(document.text)
        if len(kept) < FILES and size <= room:
            kept.append(document)
            room -= size
        else:
            left_out.append(document.path)
    return tuple(sorted(kept, key=lambda one: (one.path, one.origin))), tuple(sorted(left_out))


def _distinct(documents: Sequence[Document]) -> list[Document]:
    """One document of each path, the ConfigMap's before the pod's."""
    return list({one.path: one for one in reversed(documents)}.values())
