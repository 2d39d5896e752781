"""How kwok plays pods and nodes: our own life cycle, so that a fault can hold a pod where it is.

kwok's stock stages move every Pending pod on to Running, which no fault could withstand; here a stage of
normal life applies only to a pod without a fault. At any time at most one stage matches a pod or a node:
kwok chooses at random between several.

A pod's recovery shows in its containers (`ready: false`), not in its condition Ready: a pod on a node that
is down has ready containers and a false condition, and must stay so until its node is back.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

FAULT = "devcluster.kiro.dev/fault"
CONTAINER = "devcluster.kiro.dev/container"
RESTART_EVERY = "devcluster.kiro.dev/restart-every"
DELAY = "devcluster.kiro.dev/delay"
NODE_DOWN = "node-down"

# Go template: what the templates below share. `$only` limits a fault to one container.
VARIABLES = f"""
{{{{ $now := Now }}}}
{{{{ $root := . }}}}
{{{{ $annotations := or .metadata.annotations dict }}}}
{{{{ $only := or (index $annotations "{CONTAINER}") "" }}}}
{{{{ $statuses := or .status.containerStatuses list }}}}
{{{{ $initStatuses := or .status.initContainerStatuses list }}}}
"""
ADDRESSES = """
startTime: {{ or .status.startTime $now | Quote }}
{{ if not .status.podIP }}
{{ $hosts := NodeIPsWith .spec.nodeName }}
{{ with $hosts }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $hostNetwork := or .spec.hostNetwork false }}
{{ $ips := PodIPsWith .spec.nodeName $hostNetwork .metadata.uid .metadata.name .metadata.namespace }}
{{ with $ips }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ end }}
"""
# For use within a `range $i, $c` over containers: `$old` is the container's status so far.
OLD_STATUS = """
{{ $old := dict }}
{{ if lt $i (len $statuses) }}{{ $old = index $statuses $i }}{{ end }}
{{ $restarts := int (or $old.restartCount 0) }}
"""
IDENTITY = """
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
"""
INIT_DONE = """
initContainerStatuses:
{{ range $i, $c := .spec.initContainers }}
{{ $old := dict }}
{{ if lt $i (len $initStatuses) }}{{ $old = index $initStatuses $i }}{{ end }}
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
  ready: true
  restartCount: {{ int (or $old.restartCount 0) }}
  {{ if eq (or $c.restartPolicy "") "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
"""


def condition(kind: str, status: str, reason: str = "", message: str = "") -> str:
    """One entry of `conditions`; an empty reason takes an old one away."""
    return f"""
- type: {kind}
  status: "{status}"
  lastTransitionTime: {{{{ $now | Quote }}}}
  reason: "{reason}"
  message: "{message}"
"""


READY_TEMPLATE = (
    VARIABLES
    + "conditions:"
    + condition("PodReadyToStartContainers", "True")
    + condition("Initialized", "True")
    + condition("ContainersReady", "True")
    + condition("Ready", "True")
    + """
{{ range .spec.readinessGates }}
- type: {{ .conditionType | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range $i, $c := .spec.containers }}"""
    + OLD_STATUS
    + IDENTITY
    + """
  ready: true
  started: true
  restartCount: {{ $restarts }}
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ with $old.lastState }}
  lastState: {{ toJson . }}
  {{ end }}
{{ end }}"""
    + INIT_DONE
    + ADDRESSES
    + "phase: Running"
)

COMPLETE_TEMPLATE = """
{{ $now := Now }}
{{ $root := . }}
conditions:
- type: Ready
  status: "False"
  lastTransitionTime: {{ $now | Quote }}
  reason: PodCompleted
- type: ContainersReady
  status: "False"
  lastTransitionTime: {{ $now | Quote }}
  reason: PodCompleted
containerStatuses:
{{ range $i, $c := .spec.containers }}
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ or $root.status.startTime $now | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
phase: Succeeded
"""

NODE_READY_TEMPLATE = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
addresses:
- type: InternalIP
  address: {{ NodeIP | Quote }}
- type: Hostname
  address: {{ NodeName | Quote }}
daemonEndpoints:
  kubeletEndpoint:
    Port: {{ NodePort }}
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: ""
  kubeletVersion: kwok
  machineID: ""
  operatingSystem: linux
  osImage: ""
  systemUUID: ""
phase: Running
"""

# What the node controller writes when a kubelet has gone silent.
NODE_DOWN_TEMPLATE = """
{{ $now := Now }}
conditions:
{{ range .status.conditions }}
{{ if ne .type "NetworkUnavailable" }}
- type: {{ .type | Quote }}
  status: Unknown
  reason: NodeStatusUnknown
  message: Kubelet stopped posting node status.
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
{{ end }}
"""


def jq(expression: str, operator: str, *values: str) -> Object:
    """A condition of a selector: In holds when any result is among the values, NotIn when none is."""
    return {"key": expression, "operator": operator, **({"values": list(values)} if values else {})}


LIVING = jq(".metadata.deletionTimestamp", "DoesNotExist")
NO_FAULT = jq(f'.metadata.annotations["{FAULT}"]', "DoesNotExist")


def stage(
    name: str,
    kind: str,
    where: list[Object],
    steps: list[Object],
    *,
    annotations: dict[str, str] | None = None,
    delay: Object | None = None,
) -> Object:
    """A kwok Stage; without a delay it is played at once."""
    selector: Object = {"matchExpressions": where}
    if annotations:
        selector["matchAnnotations"] = annotations
    spec: Object = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": selector, "steps": steps}
    if delay:
        spec["delay"] = delay
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": spec,
    }


def status(template: str) -> Object:
    """The step that patches the status."""
    return {"patch": {"subresource": "status", "root": "status", "template": template, "type": "strategic"}}


def normal_life() -> list[Object]:
    """The stages of pods and nodes that nothing is wrong with."""
    to_ready = (
        '.status | if .phase == "Pending" then "start"'
        ' elif .phase == "Running" and any(.containerStatuses[]?; .ready | not) then "recover"'
        ' else "stay" end'
    )
    return [
        stage("pod-delete", "Pod", [jq(".metadata.deletionTimestamp", "Exists")], [{"delete": True}]),
        stage(
            "pod-ready",
            "Pod",
            [LIVING, NO_FAULT, jq(to_ready, "In", "start", "recover")],
            [status(READY_TEMPLATE)],
        ),
        stage(
            "pod-complete",
            "Pod",
            [
                LIVING,
                NO_FAULT,
                jq(".metadata.ownerReferences[]?.kind", "In", "Job"),
                jq(".status.phase", "In", "Running"),
                jq(".status.containerStatuses[]?.ready", "NotIn", "false"),
            ],
            [status(COMPLETE_TEMPLATE)],
        ),
        stage(
            "node-ready",
            "Node",
            [NO_FAULT, jq(READY_STATUS, "NotIn", "True")],
            [status(NODE_READY_TEMPLATE)],
        ),
        stage(
            "node-down",
            "Node",
            [jq(READY_STATUS, "NotIn", "Unknown")],
            [status(NODE_DOWN_TEMPLATE)],
            annotations={FAULT: NODE_DOWN},
        ),
    ]


READY_STATUS = '.status.conditions[]? | select(.type == "Ready") | .status'
