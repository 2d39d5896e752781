"""Commands of pods, run on this machine: kwok's ClusterExec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devcluster import ControlPlane
from devcluster.wait import until

EXECS = "/apis/kwok.x-k8s.io/v1alpha1/clusterexecs"


@contextmanager
def running(
    plane: ControlPlane, namespace: str, pod: str, *, container: str = "main", path: str = ""
) -> Iterator[None]:
    """Have the commands of a namespace's containers of this name run here, with ``path`` as PATH.

    kwok itself looks a program up on its own PATH: ``env`` finds it on this one.
    """
    envs = [{"name": "PATH", "value": path}] if path else []
    target = {"containers": [container], "local": {"envs": envs}}
    body = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterExec",
        "metadata": {"name": namespace},
        "spec": {"selector": {"matchNamespaces": [namespace]}, "execs": [target]},
    }
    plane.rest.post(EXECS, body)

    def reached() -> bool:
        command = ("exec", "-n", namespace, pod, "-c", container, "--", "true")
        return plane.kubectl(*command, check=False).returncode == 0

    try:
        until(reached, "kwok to know the ClusterExec", 20.0)
        yield
    finally:
        plane.rest.delete(f"{EXECS}/{namespace}")
