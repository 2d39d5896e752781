"""Commands in pods: run once, as the admin wrote them; no answer is no reason to run one again."""

from collections.abc import Callable, Mapping

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.actuator import Actuator
from kiro_operator.adapters.kubernetes.elector import Elector
from kiro_operator.adapters.kubernetes.exec import NoProgram
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.policy.types import NOT_FOUND
from kiro_operator.core.remedies.commands import told as told_of
from kiro_operator.reconcile.outcomes import Outcome, advice
from kiro_operator.reconcile.records import Remediation


class _Withdrawn(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Commands:
    """What the admin has a remedy run in a pod."""

    def __init__(
        self, actuator: Actuator, elector: Elector, commands: Mapping[ActionName, tuple[str, ...]]
    ) -> None:
        self._actuator = actuator
        self._elector = elector
        self._commands = commands

    async def run(
        self, namespace: str, remediation: Remediation, withdrawn: Callable[[], Outcome | None]
    ) -> Outcome:
        """Run the command of a record in its pod, once: no answer is no reason to run it again.

        What is run is what the admin says; a record that says something else is not obeyed.

        Args:
            namespace: Of the pod.
            remediation: The record.
            withdrawn: Asked last, when its turn has come: how it ends if it is not allowed any more.
        """
        spec = remediation.spec
        if spec.pod is None or spec.command is None:
            raise ValueError(f"{remediation.name} runs nothing")
        argv = self._commands.get(spec.action, ())
        if tuple(spec.command.argv) != argv:
            return Outcome(RemediationState.EXPIRED, "CommandChanged", "the command is not that of the flag")
        if ended := await self._before_command(namespace, spec.pod.name, spec.fence.uid):
            return ended
        self._elector.check()
        try:
            return await self._run_once(
                namespace, remediation, spec.pod.name, spec.command.container, withdrawn
            )
        except _Withdrawn as stopped:
            return stopped.outcome

    async def _run_once(
        self,
        namespace: str,
        remediation: Remediation,
        pod: str,
        container: str,
        withdrawn: Callable[[], Outcome | None],
    ) -> Outcome:
        spec = remediation.spec
        argv = self._commands[spec.action]

        def on_turn() -> None:
            self._elector.check()
            if outcome := withdrawn():
                raise _Withdrawn(outcome)

        try:
            executed = await self._actuator.run(
                namespace,
                pod,
                container,
                argv,
                opening=self._elector.remaining,
                on_turn=on_turn,
            )
        except TimeoutError:
            told = "the command did not begin and end in time, and may go on in the pod"
        except NoProgram:
            message = f"nothing was run: container {container} has no program {argv[0]}"
            return Outcome(RemediationState.FAILED, NOT_FOUND, message)
        except ports.NotFound:
            return Outcome(RemediationState.EXPIRED, "TargetGone", "the pod went away first")
        except ports.Forbidden as forbidden:
            missing = advice(spec.action, spec.method, namespace, forbidden, name=pod)
            return Outcome(RemediationState.DENIED, "Forbidden", missing)
        except ports.ApiError as error:
            return Outcome(RemediationState.DENIED, error.reason or "Refused", error.message)
        else:
            output = executed.errors or executed.output
            told = told_of(executed.status, output, whole=not executed.truncated)
        return Outcome(
            RemediationState.VERIFYING,
            "Acted",
            f"{told}; watching for up to {format_duration(spec.timeout)} whether it helps",
        )

    async def _before_command(self, namespace: str, pod: str, uid: str) -> Outcome | None:
        """Why a command is not run in a pod after all: it is another one by now, or cannot be looked at."""
        try:
            found = await self._actuator.chosen(namespace, pod)
        except (ports.ApiError, ports.Unreachable, TimeoutError) as error:
            return Outcome(RemediationState.EXPIRED, "EvidenceMissing", f"the pod is not to be seen: {error}")
        if found is None or found.metadata.uid != uid or found.metadata.deletion_timestamp:
            return Outcome(RemediationState.EXPIRED, "TargetGone", "the pod went away first")
        return None
