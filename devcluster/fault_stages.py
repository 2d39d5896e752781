"""The stages that break pods, one table: what each fault makes the kubelet say.

A fault is the annotation `devcluster.kiro.dev/fault: NAME` on a pod. Put on the pod it lasts until the
annotation goes or the pod is replaced; put on a workload's template every new pod has it. Each fault is one
transition: the first status that differs from a healthy pod's is already the complete one.
"""

from __future__ import annotations

from dataclasses import dataclass

from devcluster.stages import (
    ADDRESSES,
    DELAY,
    FAULT,
    IDENTITY,
    INIT_DONE,
    LIVING,
    OLD_STATUS,
    READY_TEMPLATE,
    RESTART_EVERY,
    VARIABLES,
    Object,
    condition,
    jq,
    stage,
    status,
)

DEFAULT_SLOW_START_MILLISECONDS = 5000
UNREADY = "containers with unready status"
# `.status` says that a fault shows when this text over a container's state is among the expected ones.
WAITING = '"\\(.state.waiting.reason)/\\(.lastState.terminated.reason)"'
# The kubelet's own back-off: 10 s, doubled at every restart, at most 5 minutes.
BACKOFF = (
    f'.metadata.annotations["{RESTART_EVERY}"] // '
    "([.status | (.containerStatuses, .initContainerStatuses)[]?.restartCount] | max // 1"
    ' | [10 * pow(2; [. - 1, 5] | min), 300] | min | floor | "\\(.)s")'
)


@dataclass(frozen=True)
class PodFault:
    """One way for a container not to be ready.

    Attributes:
        waiting: The waiting state's reason; empty for a container that runs and is not ready.
        message: The waiting state's message; `$c` is the container.
        terminated: Reason and exit code of the last state, for a container that crashed.
        started: Whether a container has run: decides the pod's phase, as for the kubelet.
        event: Reason and message of the Warning that goes with it.
    """

    name: str
    waiting: str
    message: str
    event: tuple[str, str]
    terminated: tuple[str, int] | None = None
    started: bool = True


BACK_OFF_MESSAGE = (
    "back-off restarting failed container={{ $c.name }} "
    "pod={{ $root.metadata.name }}_{{ $root.metadata.namespace }}"
)

POD_FAULTS = (
    PodFault(
        "crash-loop",
        "CrashLoopBackOff",
        BACK_OFF_MESSAGE,
        ("BackOff", "Back-off restarting failed container"),
        terminated=("Error", 1),
    ),
    PodFault(
        "oom",
        "CrashLoopBackOff",
        BACK_OFF_MESSAGE,
        ("BackOff", "Back-off restarting failed container"),
        terminated=("OOMKilled", 137),
    ),
    PodFault(
        "image-pull",
        "ImagePullBackOff",
        "Back-off pulling image {{ $c.image }}: ErrImagePull: rpc error: code = NotFound",
        ("Failed", "Error: ImagePullBackOff"),
        started=False,
    ),
    PodFault(
        "config-error",
        "CreateContainerConfigError",
        'secret "missing" not found',
        ("Failed", 'Error: secret "missing" not found'),
        started=False,
    ),
    PodFault(
        "not-ready", "", "", ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    ),
)
INIT_CRASH = "init-crash"
SLOW_START = "slow-start"
NAMES = (*(fault.name for fault in POD_FAULTS), INIT_CRASH, SLOW_START)


def stages() -> list[Object]:
    """All stages of this module."""
    made = [_waiting(fault) for fault in POD_FAULTS]
    made += [_crash_again(fault) for fault in POD_FAULTS if fault.terminated]
    return [*made, *_init_crash(), *_slow_start()]


def _terminated(reason: str, code: int) -> str:
    return f"""
    terminated:
      exitCode: {code}
      reason: {reason}
      startedAt: {{{{ dig "state" "running" "startedAt" $now $old | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
"""


def _not_ready(*, initialized: bool = True) -> str:
    names = "{{ range $i, $c := .spec.containers }}{{ if $i }} {{ end }}{{ $c.name }}{{ end }}"
    message = f"{UNREADY}: [{names}]"
    init = (
        condition("Initialized", "True")
        if initialized
        else condition(
            "Initialized", "False", "ContainersNotInitialized", "containers with incomplete status"
        )
    )
    return (
        "conditions:"
        + condition("PodReadyToStartContainers", "True")
        + init
        + condition("ContainersReady", "False", "ContainersNotReady", message)
        + condition("Ready", "False", "ContainersNotReady", message)
    )


def _containers(fault: PodFault) -> str:
    """The statuses of all containers: those that the fault is about, and the others running."""
    if fault.waiting:
        state = f"""
    waiting:
      reason: {fault.waiting}
      message: '{fault.message}'
"""
    else:
        state = """
    running:
      startedAt: {{ dig "state" "running" "startedAt" $now $old | Quote }}
"""
    last = "\n  lastState:" + _terminated(*fault.terminated) if fault.terminated else ""
    restarts = "{{ add1 $restarts }}" if fault.terminated else "{{ $restarts }}"
    started = "false" if fault.waiting else "true"
    return (
        "\ncontainerStatuses:\n{{ range $i, $c := .spec.containers }}"
        + OLD_STATUS
        + IDENTITY
        + f"""
  {{{{ if or (not $only) (eq $only $c.name) }}}}
  ready: false
  started: {started}
  restartCount: {restarts}
  state:{state}{last}
  {{{{ else }}}}
  ready: true
  started: true
  restartCount: {{{{ $restarts }}}}
  state:
    running:
      startedAt: {{{{ dig "state" "running" "startedAt" $now $old | Quote }}}}
  {{{{ with $old.lastState }}}}
  lastState: {{{{ toJson . }}}}
  {{{{ end }}}}
  {{{{ end }}}}
{{{{ end }}}}
"""
    )


def _template(fault: PodFault) -> str:
    phase = "Running" if fault.started else "Pending"
    return VARIABLES + _not_ready() + _containers(fault) + INIT_DONE + ADDRESSES + f"phase: {phase}"


def _shows(fault: PodFault) -> tuple[str, str]:
    """A jq expression and the value it gives for a container that has the fault already."""
    if not fault.waiting:
        return '.status.containerStatuses[]? | "\\(.ready)/\\(.state | has("running"))"', "false/true"
    if fault.terminated is None:
        return ".status.containerStatuses[]?.state.waiting.reason", fault.waiting
    return f".status.containerStatuses[]? | {WAITING}", f"{fault.waiting}/{fault.terminated[0]}"


def _event(fault: PodFault) -> Object:
    reason, message = fault.event
    return {"event": {"type": "Warning", "reason": reason, "message": message}}


def _waiting(fault: PodFault) -> Object:
    expression, value = _shows(fault)
    where = [LIVING, jq(".status.phase", "In", "Pending", "Running"), jq(expression, "NotIn", value)]
    # The status first: the event must not delay it.
    steps = [status(_template(fault)), _event(fault)]
    return stage(f"fault-{fault.name}", "Pod", where, steps, annotations={FAULT: fault.name})


def _crash_again(fault: PodFault) -> Object:
    """The same status with one restart more, after the back-off."""
    expression, value = _shows(fault)
    return stage(
        f"fault-{fault.name}-again",
        "Pod",
        [LIVING, jq(expression, "In", value)],
        [status(VARIABLES + _containers(fault)), _event(fault)],
        annotations={FAULT: fault.name},
        delay={"durationFrom": {"jq": {"expression": BACKOFF}}, "durationMilliseconds": 10_000},
    )


def _init_crash() -> list[Object]:
    inits = (
        """
initContainerStatuses:
{{ range $i, $c := .spec.initContainers }}
{{ $old := dict }}
{{ if lt $i (len $initStatuses) }}{{ $old = index $initStatuses $i }}{{ end }}
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: {{ add1 (int (or $old.restartCount 0)) }}
  state:
    waiting:
      reason: CrashLoopBackOff
      message: back-off restarting failed init container
  lastState:"""
        + _terminated("Error", 1)
        + """
{{ end }}
"""
    )
    waiting = (
        "\ncontainerStatuses:\n{{ range $i, $c := .spec.containers }}"
        + OLD_STATUS
        + IDENTITY
        + """
  ready: false
  started: false
  restartCount: {{ $restarts }}
  state:
    waiting:
      reason: PodInitializing
{{ end }}
"""
    )
    template = VARIABLES + _not_ready(initialized=False) + inits + waiting + ADDRESSES + "phase: Pending"
    expression = ".status.initContainerStatuses[]?.state.waiting.reason"
    annotations = {FAULT: INIT_CRASH}
    event: Object = {
        "event": {
            "type": "Warning",
            "reason": "BackOff",
            "message": "Back-off restarting failed init container",
        }
    }
    return [
        stage(
            f"fault-{INIT_CRASH}",
            "Pod",
            [
                LIVING,
                jq(".spec.initContainers[]?.name", "Exists"),
                jq(".status.phase", "In", "Pending", "Running"),
                jq(expression, "NotIn", "CrashLoopBackOff"),
            ],
            [status(template), event],
            annotations=annotations,
        ),
        stage(
            f"fault-{INIT_CRASH}-again",
            "Pod",
            [LIVING, jq(expression, "In", "CrashLoopBackOff")],
            [status(VARIABLES + inits), event],
            annotations=annotations,
            delay={"durationFrom": {"jq": {"expression": BACKOFF}}, "durationMilliseconds": 10_000},
        ),
    ]


def _slow_start() -> list[Object]:
    """A pod that runs at once and is Ready only after a while; one that is Ready already stays so."""
    unready = PodFault(SLOW_START, "", "", ("", ""))
    annotations = {FAULT: SLOW_START}
    return [
        stage(
            f"fault-{SLOW_START}",
            "Pod",
            [LIVING, jq(".status.phase", "In", "Pending")],
            [status(_template(unready))],
            annotations=annotations,
        ),
        stage(
            f"fault-{SLOW_START}-ready",
            "Pod",
            [
                LIVING,
                jq(".status.phase", "In", "Running"),
                jq(".status.containerStatuses[]?.ready", "In", "false"),
            ],
            [status(READY_TEMPLATE)],
            annotations=annotations,
            delay={
                "durationFrom": {"jq": {"expression": f'.metadata.annotations["{DELAY}"]'}},
                "durationMilliseconds": DEFAULT_SLOW_START_MILLISECONDS,
            },
        ),
    ]
