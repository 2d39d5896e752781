"""The measurements inside a process, in one of their own so that memory starts clean: prints JSON."""

import asyncio
import datetime as dt
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench import procfs
from bench.pod_json import pod_json
from kiro_operator.adapters.kubernetes.informer import Informer
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.adapters.kubernetes.watches import KINDS
from kiro_operator.core import objects
from kiro_operator.core.checks import registry
from kiro_operator.core.snapshot import Collection, Snapshot, Source

NAMESPACE = "kiro-system"
BATCH = 500
TURNS = 5


def measure(pods: int) -> dict[str, float]:
    """All figures, with so many pods in a Store."""
    found: dict[str, float] = {"bytes a pod": len(pod_json(1))}
    store: Store[objects.Pod] = Store(lambda *_: None, objects.selectable_labels)
    found["decode µs"] = _fill(store, pods)
    found |= _memory(store, pods)
    found["event µs"] = _events(store, pods)
    calm = _judge(store)
    for number in range(60):
        store.apply(_decoder().decode(pod_json(number, crashed=True, version=900_000)))
    found |= {f"{name}, none unsettled, µs": value for name, value in calm.items()}
    found |= {f"{name}, 60 unsettled, µs": value for name, value in _judge(store).items()}
    return found


def _decoder() -> "msgspec.json.Decoder[objects.Pod]":
    return msgspec.json.Decoder(objects.Pod)


def _fill(store: Store[objects.Pod], pods: int) -> float:
    """Fill the store; returns µs to decode one pod, the best batch in the middle of the noise."""
    decode = _decoder().decode
    times = []
    for first in range(0, pods, BATCH):
        raw = [pod_json(number) for number in range(first, min(first + BATCH, pods))]
        started = time.perf_counter()
        items = [decode(each) for each in raw]
        times.append((time.perf_counter() - started) / len(raw))
        for item in items:
            store.apply(item)
    return sorted(times)[len(times) // 2] * 1e6


def _memory(store: Store[objects.Pod], pods: int) -> dict[str, float]:
    """What the store holds: the memory that is given back when it is dropped, and made again."""
    gc.collect()
    full = procfs.resident_mib(os.getpid())
    return {"store full MiB": full, "pods": len(store) if len(store) == pods else -1}


def _events(store: Store[objects.Pod], pods: int) -> float:
    """µs from a line of a watch to the store, for an event that changes nothing."""
    informer: Informer[objects.Pod] = Informer(
        None,  # type: ignore[arg-type] # nothing is sent
        KINDS[Source.PODS],
        store,
        namespace=None,
        covers=lambda: frozenset({NAMESPACE}),
        on_synced=lambda: None,
        on_trouble=lambda _: None,
    )
    version = 500_000
    lines = []
    for number in range(min(pods, 4 * BATCH)):
        version += 1
        lines.append(b'{"type":"MODIFIED","object":' + pod_json(number, version=version) + b"}")
    started = time.perf_counter()
    for line in lines:
        informer._take(line)  # noqa: SLF001 - the very path that is measured
    return (time.perf_counter() - started) / len(lines) * 1e6


def _judge(store: Store[objects.Pod]) -> dict[str, float]:
    """µs to judge the watched pod checks over the whole store."""
    empty: Collection[Any] = Collection.of(())
    snapshot = Snapshot(
        namespace=NAMESPACE,
        pods=store.collection(NAMESPACE, objects.Selector()),
        deployments=empty,
        stateful_sets=empty,
        daemon_sets=empty,
        replica_sets=empty,
        services=empty,
        endpoint_slices=empty,
        autoscalers=empty,
    )
    now = dt.datetime.now(dt.UTC)
    check = registry()["pods-ready"].check
    parameters = check.parameters()
    return {"pods-ready": _best(lambda: check.judge(snapshot, parameters, now))}


def _best(call: Callable[[], object]) -> float:
    """µs of a call: the median of several loops."""
    times = []
    for _ in range(TURNS):
        turns = 200
        started = time.perf_counter()
        for _ in range(turns):
            call()
        times.append((time.perf_counter() - started) / turns)
    return sorted(times)[TURNS // 2] * 1e6


async def _main(pods: int) -> None:
    json.dump(measure(pods), sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
