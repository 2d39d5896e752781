"""A control plane as tests, demo and benchmarks use it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from filelock import FileLock

from devcluster import build, control, kubeconfig, nodes
from devcluster.components import Layout
from devcluster.errors import KubectlFailed, NotRunning
from devcluster.kubeconfig import Access
from devcluster.pki import Pair
from devcluster.rest import Rest
from devcluster.state import FILE as STATE_FILE
from devcluster.state import State
from devcluster.wait import until

KUBECTL_SECONDS = 60.0
STOP_SECONDS = 15.0


class ControlPlane:
    """A running control plane, booted by us or (with a context) the user's own cluster.

    Attributes:
        folder: Everything about it: kubeconfig, logs, audit log, service account folders.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layout = Layout(folder)

    @property
    def state(self) -> State:
        """What the supervisor last wrote."""
        return State.load(self.folder)

    @property
    def external(self) -> bool:
        """Whether this is the user's own cluster, whose components and pods are not ours to break."""
        return bool(self.state.context)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._layout.kubeconfig

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.state.server

    @property
    def ca(self) -> Path:
        """The certificate that the API server's is signed with."""
        return self._layout.pki / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, a JSON object on each line."""
        return self._layout.audit_log

    @property
    def admin(self) -> Access:
        """How the administrator reaches the API server, without a kubeconfig."""
        if self.external:
            minified = json.loads(self.kubectl("config", "view", "--raw", "-o", "json").stdout)
            return kubeconfig.unpack(minified, self._layout.pki)
        pair = Pair(self._layout.pki / "admin.crt", self._layout.pki / "admin.key")
        return Access(self.server, self.ca, pair)

    @cached_property
    def rest(self) -> Rest:
        """A client for raw requests as the administrator; thread-safe."""
        return Rest(self.admin)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
        timeout: float = KUBECTL_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run the cached kubectl against this control plane.

        Raises:
            KubectlFailed: It ended with a non-zero code and `check` is set; the text says what it said.
        """
        command = [str(build.program("kubectl")), f"--cache-dir={self.folder / 'kubectl-cache'}", *arguments]
        done = subprocess.run(
            command,
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise KubectlFailed(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {said}")
        return done

    def apply(self, source: str | Path, *, namespace: str | None = None) -> str:
        """Apply YAML text, a file or a folder, server-side; returns what kubectl says."""
        target = ["--namespace", namespace] if namespace else []
        base = ["apply", "--server-side", "--force-conflicts", *target, "-f"]
        if isinstance(source, Path):
            return self.kubectl(*base, str(source)).stdout
        return self.kubectl(*base, "-", input=source).stdout

    def token(
        self, namespace: str, name: str, seconds: int = 3600, bound_to: dict[str, str] | None = None
    ) -> str:
        """A token of a service account; one that is bound to an object ends when that is deleted.

        Args:
            namespace: Of the service account.
            name: Of the service account.
            seconds: How long it is valid: ten minutes or more.
            bound_to: apiVersion, kind, name and uid of a Pod or a Secret of the same namespace.
        """
        spec = {"expirationSeconds": seconds} | ({"boundObjectRef": bound_to} if bound_to else {})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        return str(self.rest.post(path, {"spec": spec})["status"]["token"])

    def service_account_dir(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A folder as a pod finds it: `token`, `ca.crt` and `namespace` of an existing service account."""
        token = self.token(namespace, name, seconds)
        folder = self.folder / "serviceaccounts" / namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(token, encoding="utf-8")
        (folder / "ca.crt").write_bytes(self.admin.ca.read_bytes())
        (folder / "namespace").write_text(namespace, encoding="utf-8")
        return folder

    def add_nodes(self, count: int) -> list[str]:
        """Add kwok nodes (250 pods each) and wait until they are Ready; returns their names."""
        existing = len(self.rest.get(f"{nodes.NODES}?labelSelector={nodes.LABEL}")["items"])
        names = nodes.add(self.rest, count, first=existing)
        until(lambda: nodes.all_ready(self.rest, existing + count), "the new nodes to be ready", 30.0)
        return names

    def audit_offset(self) -> int:
        """The audit log's size now, in bytes: pass it as `since` to see only what comes after."""
        return self.audit_log.stat().st_size if self.audit_log.exists() else 0

    def audit_events(self, since: int = 0, *, naming: str = "") -> Iterator[dict[str, Any]]:
        """The audit log's complete lines that begin at byte `since` or later, oldest first; does not wait.

        With `naming` those that have these words in them: decoding the others would take most of the time.
        """
        mark = naming.encode()
        with self.audit_log.open("rb") as log:
            if since:
                # The size may have been asked for while a line was being written: that one came before.
                log.seek(since - 1)
                if not log.readline().endswith(b"\n"):
                    return
            for line in whole_lines(log):
                if mark in line:
                    yield json.loads(line)

    def wait_for_metrics(self, timeout: float = 90.0) -> None:
        """Wait until the metrics API has figures of the nodes, some 15 to 30 s after boot."""

        def served() -> bool:
            done = self.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes", check=False)
            return done.returncode == 0 and bool(json.loads(done.stdout)["items"])

        until(served, "metrics of the nodes", timeout)

    def stop_component(self, name: str) -> None:
        """End one component and return once it is gone; its port stays reserved."""
        control.command(self.folder, "stop", name)

    def start_component(self, name: str, timeout: float = 60.0) -> None:
        """Start a stopped or dead component as it was and return once it is ready."""
        control.command(self.folder, "start", name, timeout)

    def pause(self, name: str) -> None:
        """Freeze one component: connections to it stay open and nothing answers."""
        control.command(self.folder, "pause", name)

    def resume(self, name: str) -> None:
        """Let a paused component go on."""
        control.command(self.folder, "resume", name)

    def stop(self) -> None:
        """End the control plane and throw its data away; a user's own cluster is left as it is."""
        self.close()
        if self.external:
            (self.folder / STATE_FILE).unlink()
            return
        with contextlib.suppress(NotRunning):
            control.command(self.folder, "shutdown", timeout=STOP_SECONDS)
        # The lock is the supervisor's until its very end, and the kernel drops it with the process.
        with FileLock(self._layout.lock, timeout=STOP_SECONDS):
            return

    def close(self) -> None:
        """Close this object's connections; the control plane goes on."""
        if "rest" in self.__dict__:
            self.rest.close()


def whole_lines(log: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that is being written; what follows half a line is the other half, and no line."""
    return takewhile(lambda line: line.endswith(b"\n"), log)
