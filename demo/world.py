"""Everything the demo stands on: a control plane, the installed operator, and the simulated Kiro."""

from __future__ import annotations

import os
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import devcluster
from demo.backends import Backends
from demo.cluster import NAMESPACE, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Cluster
from demo.recorder import Recorder
from demo.simulation import Simulation
from devcluster import ControlPlane, build
from devcluster.errors import ApiError
from devcluster.operator import OperatorProcess
from devcluster.paths import default_folder
from devcluster.wait import until

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = "demo/manifests"
OVERLAY = "demo/manifests/operator"
FILES = {"-f", "-k"}
"""Options of kubectl that a file of the project follows."""
NAME = "demo"
BOOT_SECONDS = 180.0
READY_SECONDS = 120
TAIL_LINES = 15


class World:
    """The control plane and what lives in it, as a context manager: all of it ends with the block."""

    def __init__(self, folder: Path | None, recorder: Recorder) -> None:
        self.folder = (folder or default_folder(NAME)).resolve()
        self.recorder = recorder
        self.plane: ControlPlane
        self.cluster: Cluster
        self.simulation: Simulation
        self.backends: Backends
        self._plane: ControlPlane | None = None
        self._simulation: Simulation | None = None
        self._backends: Backends | None = None
        self._operator: OperatorProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_operator()
        if self._simulation is not None:
            self._simulation.__exit__(kind, error, trace)
        if self._backends is not None:
            self._backends.__exit__(kind, error, trace)
        if self._plane is not None:
            self._plane.stop()

    def boot(self) -> None:
        """Start a control plane of the demo's own; building its programs first where they are missing."""
        if build.missing():
            build.build(say=print)
        self._plane = self.plane = devcluster.boot(self.folder, name=NAME, timeout=BOOT_SECONDS)
        self.cluster = Cluster(self.plane)

    def install(self) -> None:
        """Install the simulated Kiro and the operator's objects, as a user does: with kubectl."""
        self.kubectl("apply", "-f", f"{MANIFESTS}/kiro-system.yaml", record=False)
        self.kubectl("apply", "--server-side", "-k", OVERLAY, record=False)
        # A pod here is played by kwok and runs nothing, so the operator itself runs beside the cluster,
        # with the token of the ServiceAccount that its pods would have.
        self.plane.kubectl(
            "scale", f"deployment/{OPERATOR_ACCOUNT}", "-n", OPERATOR_NAMESPACE, "--replicas=0"
        )
        self._simulation = self.simulation = Simulation(self.plane).__enter__()
        self._backends = self.backends = Backends(self.folder / "prometheus", NAMESPACE)
        self.backends.__enter__()
        self.plane.kubectl(
            "wait", "--for=condition=Established", "crd", "--all", f"--timeout={READY_SECONDS}s"
        )
        self.kubectl("apply", "-f", f"{MANIFESTS}/kirosafetybaseline.yaml", record=False)
        self.kubectl("apply", "-f", f"{MANIFESTS}/kirosafetypolicy.yaml")
        self.kubectl("apply", "-f", f"{MANIFESTS}/kirohealthcheck.yaml")
        until(self._served, "the custom resources to be served", READY_SECONDS)
        for name in ("kiro", "autonomous-operations", "mcp-server"):
            until(lambda name=name: self.cluster.is_whole(name), f"the pods of {name}", READY_SECONDS)  # type: ignore[misc]

    def _served(self) -> bool:
        """A kind answers 429 for a moment after its definition is Established."""
        try:
            self.cluster.remediations()
        except ApiError:
            return False
        return True

    def kubectl(self, *arguments: str, record: bool = True) -> str:
        """Run kubectl from the project's folder, and keep it for the session that is recorded."""
        paths = tuple(
            str(ROOT / each) if option in FILES else each for option, each in pairwise(("", *arguments))
        )
        output = self.plane.kubectl(*paths, timeout=READY_SECONDS).stdout
        if record:
            self.recorder.add(arguments, output)
        return output

    def run_as(self, user: str, group: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in which kubectl acts for a user of a group; whether it may is its outcome."""
        kubectl = shlex.join([str(build.program("kubectl")), f"--as={user}", f"--as-group={group}"])
        done = subprocess.run(
            ["/bin/bash", "-uo", "pipefail", "-c", f'kubectl() {{ {kubectl} "$@"; }}; {command}'],
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_SECONDS,
            env={**os.environ, "KUBECONFIG": str(self.plane.kubeconfig)},
        )
        self.recorder.add_line(f"{command}  # as {user}", done.stdout or done.stderr)
        return done

    # --- the operator -----------------------------------------------------------------------------

    @property
    def operator_runs(self) -> bool:
        """Whether the operator's process lives."""
        return self._operator is not None and self._operator.running

    @property
    def operator_log(self) -> Path:
        """What the operator has written so far."""
        return self.folder / "logs" / "kiro-operator.log"

    def start_operator(self) -> None:
        """Start the operator with its own ServiceAccount, and nothing else."""
        if not self.operator_runs:
            self._operator = OperatorProcess(
                self.plane,
                namespace=OPERATOR_NAMESPACE,
                service_account=OPERATOR_ACCOUNT,
                log=self.operator_log,
                flags=(*self.simulation.resolve_flags, *self.backends.flags),
            ).start()

    def stop_operator(self) -> None:
        """End the operator as Kubernetes does."""
        if self._operator is not None and self._operator.running:
            try:
                self._operator.stop()
            except subprocess.TimeoutExpired:
                self._operator.kill()

    def renew_token(self) -> None:
        """Write the operator a fresh token, as a kubelet does before the old one ends."""
        self.plane.service_account_dir(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

    def operator_tail(self) -> str:
        """The last lines that the operator wrote."""
        if not self.operator_log.exists():
            return "(the operator was not started)"
        lines = self.operator_log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])
