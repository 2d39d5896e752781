"""Fixtures for the whole suite: one real control plane a run, and a namespace of its own for each test.

All xdist workers share the control plane: the first that needs it boots it under a file lock, and its life
is bound to pytest's controlling process, so it ends with the run however that ends.
"""

from __future__ import annotations

import http.client
import os
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
from filelock import FileLock

import devcluster
from devcluster import ControlPlane, DevclusterError
from devcluster.errors import ApiError
from devcluster.wait import until
from tests.harness.need import give_up

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT / "crds"
VOUCHING = ROOT / "deploy" / "base" / "admission" / "approvals.yaml"
"""The admission policy that belongs to the kinds: without it no approval counts."""
BOOT_LOCK_SECONDS = 240
LONG = tuple(f"tests/{name}/" for name in ("e2e", "faults", "live", "apiserver", "deploy"))
"""Where tests wait for a control plane, and not for the processor."""

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("kiro", deadline=None)
hypothesis.settings.load_profile("kiro")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.apiserver)
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        items[:] = _spread(items, workers)


def _spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Give each worker its share of what takes long first, so that none is left with it at the end.

    Workers begin with equal parts, in order, and take from each other's ends what is left.
    """
    long: dict[str, list[pytest.Item]] = {}
    short: list[pytest.Item] = []
    for item in items:
        module = item.nodeid.partition("::")[0]
        if module.startswith(LONG):
            long.setdefault(module, []).append(item)
        else:
            short.append(item)
    modules = sorted(long, key=lambda module: [module.startswith(place) for place in LONG], reverse=True)
    shares = [[item for module in modules[n::workers] for item in long[module]] for n in range(workers)]
    size = -(-len(items) // workers)
    rest = iter(short)
    return [item for share in shares for item in [*share, *islice(rest, max(0, size - len(share)))]] + [*rest]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The run's control plane, the one in KIRO_TEST_PLANE, or the cluster that KIRO_TEST_CONTEXT names."""
    if folder := os.environ.get("KIRO_TEST_PLANE"):
        plane = devcluster.attach(Path(folder))
        _apply_crds(plane)
        yield plane
        plane.close()
        return
    workers = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if workers else base
    with FileLock(shared / "control-plane.lock", timeout=BOOT_LOCK_SECONDS):
        plane = _shared_plane(shared, os.getppid() if workers else os.getpid())
    yield plane
    if workers:
        plane.close()
    else:
        plane.stop()


def _shared_plane(shared: Path, owner: int) -> ControlPlane:
    """Attach to the control plane that a worker booted already, or boot it."""
    folder = shared / "control-plane"
    failure = shared / "control-plane.failed"
    if failure.exists():
        _give_up(failure.read_text(encoding="utf-8"))
    if (folder / "ready").exists():
        return devcluster.attach(folder)
    context = os.environ.get("KIRO_TEST_CONTEXT")
    try:
        if context:
            plane = devcluster.use_context(folder, context)
        else:
            plane = devcluster.boot(folder, name="tests", parent_pid=owner)
        _apply_crds(plane)
    except DevclusterError as error:
        failure.write_text(str(error), encoding="utf-8")
        _give_up(str(error))
    (folder / "ready").touch()
    return plane


def _apply_crds(plane: ControlPlane) -> None:
    if any(CRDS.glob("*.yaml")):
        plane.apply(CRDS)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        plane.apply(VOUCHING)


def _give_up(why: str) -> NoReturn:
    give_up(f"NO CONTROL PLANE, so everything that needs an API server is not tested: {why}")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace in which pods can be created at once; its deletion is not waited for."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    rest = control_plane.rest
    rest.post("/api/v1/namespaces", {"metadata": {"name": name}})

    def has_account() -> bool:
        try:
            rest.get(f"/api/v1/namespaces/{name}/serviceaccounts/default")
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    until(has_account, f"the default service account of {name}")
    yield name
    rest.delete(f"/api/v1/namespaces/{name}")
