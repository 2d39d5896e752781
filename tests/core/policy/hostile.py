"""KiroSafetyPolicies that are malformed, contradictory or hostile, and whether they widen a good one.

What may be done is not read off a policy but tried: the plan is made in each of many scenes, from the
policies as the operator takes them in.
"""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from kiro_operator.core.policy.approvals import DEFAULT_GATE
from tests.core.policy.scenes import SCENES, Object, allowed, taken

WANTED = {"mode": "supervised", "limit": "3"}
NIGHTLY = {"name": "nightly", "schedule": "30 2 * * *", "duration": "30m", "timeZone": "Europe/Berlin"}
WEEKEND = {"name": "weekend", "schedule": "0 22 * * FRI", "duration": "24h", "timeZone": "Europe/Berlin"}
DAYS = {"name": "days", "schedule": "0 6 * * *", "duration": "14h", "timeZone": "Europe/Berlin"}
SUNDAYS = {"name": "sundays", "schedule": "0 1 * * SUN", "duration": "3h", "timeZone": "Europe/Berlin"}
LEADS = [{"kind": "Group", "name": "leads"}]
BUDGET = {"limit": 2, "window": "1h"}
GOOD: Object = {
    "mode": "Enforce",
    "actions": [
        {"name": "Restart", "approval": "Automatic", "budget": BUDGET},
        {"name": "Scale", "approval": "Manual", "budget": BUDGET},
        {"name": "RestoreSafetyConfig", "approval": "Automatic", "budget": BUDGET},
    ],
    "budget": {"limit": 3, "window": "90m"},
    "cooldown": "5m",
    "backoff": {"initial": "10m", "maximum": "4h"},
    "maxConsecutiveFailures": 2,
    "maxUnhealthy": "40%",
    "stormCooldown": "10m",
    "scale": {"floor": 2, "ceiling": 6, "step": 2},
    "forbiddenWindows": [NIGHTLY, WEEKEND],
    "maintenanceWindows": [DAYS, SUNDAYS],
    "pauseRequests": [],
    "protected": {"selectors": [{"matchLabels": {"app": "ledger"}}]},
    "consent": ["SingleReplica"],
    "safetyConfig": {"name": "kiro-safety-config", "onDrift": "Restore", "data": WANTED},
    "approvalGates": [{"name": "technical-lead", "actions": ["Scale"], "approvers": LEADS}],
}
"""Each of its fields binds in one of the scenes."""

WIDEST: Object = {
    "mode": "Enforce",
    "actions": [
        {"name": name, "approval": "Automatic", "budget": {"limit": 100, "window": "1m"}}
        for name in ("Restart", "Scale", "RestoreSafetyConfig")
    ],
    "budget": {"limit": 100, "window": "1m"},
    "cooldown": "0s",
    "backoff": {"initial": "0s", "maximum": "0s"},
    "maxConsecutiveFailures": 100,
    "maxUnhealthy": "100%",
    "stormCooldown": "0s",
    "scale": {"floor": 1, "ceiling": 1000, "step": 100},
    "forbiddenWindows": [],
    "maintenanceWindows": [],
    "pauseRequests": [],
    "protected": {"selectors": []},
    "consent": ["SingleReplica", "Recreate"],
    "safetyConfig": {"name": "kiro-safety-config", "onDrift": "Restore", "data": {"mode": "free"}},
    "approvalGates": [],
}
"""What somebody would write who wants everything done."""


@cache
def by_good() -> dict[str, set[tuple[Any, ...]]]:
    """What the good policy alone lets happen, by scene."""
    good = taken(GOOD, "good")
    return {scene.name: allowed(scene, [good]) for scene in SCENES}


def widened(document: Any) -> list[str]:
    """The scenes in which more is done under a policy than under the good one.

    Left out is what somebody approved at the gate of those who name none: whoever loses the name of a
    gate has Manual actions wait there instead, still for a person.
    """
    hostile = [taken(document, "hostile")]
    return [
        scene.name
        for scene in SCENES
        if scene.approved != DEFAULT_GATE and not allowed(scene, hostile) <= by_good()[scene.name]
    ]


def widened_beside(document: Any) -> list[str]:
    """The scenes in which more is done under a policy and the good one than under that alone."""
    both = [taken(document, "hostile"), taken(GOOD, "good")]
    return [scene.name for scene in SCENES if not allowed(scene, both) <= by_good()[scene.name]]


def put(path: str, value: Any, base: Object = GOOD) -> Object:
    """The good policy with another value at a path, such as actions.0.approval."""
    changed = copy.deepcopy(base)
    *parents, last = path.split(".")
    node: Any = changed
    for step in parents:
        node = node[int(step) if isinstance(node, list) else step]
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return changed


def lost(path: str) -> Object:
    """The good policy with a field misspelt, as a lenient client has it dropped."""
    changed = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    node: Any = changed
    for step in parents:
        node = node[int(step) if isinstance(node, list) else step]
    node[f"{last}s"] = node.pop(last)
    return changed


def paths(node: Any, here: str = "") -> Iterator[str]:
    """The path of each field, at any depth; the keys of labels and of data are words, not fields."""
    fields = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in fields:
        path = f"{here}.{key}" if here else str(key)
        if isinstance(node, dict):
            yield path
        if key not in {"matchLabels", "data"}:
            yield from paths(child, path)


_DURATION: tuple[Any, ...] = (
    "-5m",
    "5",
    "5 minutes",
    "PT5M",
    "1.5h",
    "",
    "5m\n",
    " 5m",
    "\u0665m",
    "1e3h",
    None,
    -1,
    [],
    True,
)
_COUNT: tuple[Any, ...] = (-1, 0, "two", "", 1.5, None, [], {}, 10**30, "\u0663", True)
_SHARE: tuple[Any, ...] = (
    *("101%", "-1", -1, "40 %", "40%\n", "+40%", "40%%", "forty", "0x28", "1e1%", "\uff140%", "", "40"),
    *(1.5, None, [], {"share": 40}, "100001%"),
)  # fmt: skip
_RANGE: tuple[Any, ...] = (
    *("[3-1]", "1-3", "[1-3", "[1..3]", "[-1-3]", "[1-]", "[a-b]", "[10%-40%]", "[1-3]\n"),
    *("[\u0661-\u0663]", "", "[]", [1, 3], 3, None),
)  # fmt: skip
_SCHEDULE: tuple[Any, ...] = (
    *("60 6 * * *", "0 24 * * *", "0 6 * *", "0 0 6 * * *", "@daily", "@reboot", "0 6 * * 8"),
    *("0 6 * * Montag", "*/0 6 * * *", "0 6 32 * *", "0 6 * 13 *", "0 6 31 2 *", "H 6 * * *", "-1 6 * * *"),
    *("6", "", " ", None),
    *("\u0660 \u0666 * * *", "0 6 * * MON-", "0,,5 6 * * *", "0 6 * * ?", 6, []),
)  # fmt: skip
_ZONES: tuple[Any, ...] = (
    *("Mars/Phobos", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\x00", "", " ", "Local", "+01:00"),
    *("Europe/Atlantis", "Europe", "UTC+2", "Europe/Berlin ", None, 1, ["UTC"], {"name": "UTC"}),
)  # fmt: skip
_APPROVAL: tuple[Any, ...] = (
    *("automatic", "AUTOMATIC", "Automatic ", "Always", "None", "", True, ["Automatic"], None, "Auto"),
)  # fmt: skip
_MODES: tuple[Any, ...] = (
    "enforce",
    "ENFORCE",
    "Enforce ",
    "On",
    True,
    1,
    None,
    ["Enforce"],
    "DryRun",
    "Observe",
)
_DRIFT: tuple[Any, ...] = ("restore", "RESTORE", "Always", "", True, None, ["Restore"], "Observe")
_SELECTOR: tuple[Any, ...] = (
    {}, {"matchLabels": {"app": None}}, {"matchLabels": ["app"]}, {"matchLabels": "app=ledger"},
    None, "app=ledger",
    {"matchExpressions": [{"key": "app", "operator": "In"}]},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": []}]},
    {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["ledger"]}]},
    {"matchExpressions": [{"key": "app", "operator": "exists"}]},
    {"matchExpressions": [{"operator": "Exists"}]},
    {"matchExpressions": [None]},
)  # fmt: skip
_NAMES = ("../other", "Kiro Safety", "*")
VALUES: dict[str, tuple[Any, ...]] = {
    "mode": _MODES,
    "actions.0.name": ("restart", "*", "Delete", "", None, "Scale", ["Restart", "Scale"]),
    "actions.1.approval": _APPROVAL,
    "actions.0.budget.limit": _COUNT,
    "actions.0.budget.window": _DURATION,
    "budget.limit": _COUNT,
    "budget.window": _DURATION,
    "budget": (None, {}, 3, "3 in 1h", {"limit": 3}, {"window": "1h"}),
    "cooldown": _DURATION,
    "backoff": (None, {}, "10m", {"initial": "5h", "maximum": "4h"}, {"initial": "-1h", "maximum": "4h"}),
    "maxConsecutiveFailures": _COUNT,
    "maxUnhealthy": _SHARE,
    "stormCooldown": (*_DURATION, "25h", "never"),
    "scale": (None, {}, {"floor": 7, "ceiling": 6, "step": 2}, {"floor": 2, "ceiling": 6}, 6, "2-6"),
    "scale.ceiling": (-1, 0, 10**30, "six", None, 1.5, 1001),
    "scale.step": (-1, 0, "two", None, 101, 0.5),
    "forbiddenWindows": (None, {}, "none", [None], ["weekend"], [{}], [WEEKEND | {"duration": "0s"}]),
    "forbiddenWindows.0.schedule": tuple(value for value in _SCHEDULE if value != "0 6 31 2 *"),
    "forbiddenWindows.0.timeZone": _ZONES,
    "forbiddenWindows.0.duration": ("0s", "-30m", "200h", "1d", None, 30),
    "maintenanceWindows": (None, {}, "any", [None], [{}], [DAYS | {"duration": "200h"}], "[]"),
    "maintenanceWindows.0.schedule": _SCHEDULE,
    "maintenanceWindows.0.timeZone": _ZONES,
    "maintenanceWindows.0.duration": ("0s", "-14h", "999h", "1d", None, 14),
    "pauseRequests": (None, {}, "audit", [""], [None], ["audit"], ["audit", "audit"], [["audit"]]),
    "protected": (None, {}, [], {"selectors": None}, {"selectors": {}}, {"selectors": "app=ledger"}),
    "protected.selectors.0": _SELECTOR,
    "consent": (["All"], ["*"], "Recreate", ["recreate"], [["Recreate"]], [None], {"Recreate": True}),
    "safetyConfig.onDrift": _DRIFT,
    "safetyConfig.data": (None, [], "mode=free", {"mode": None}, {"mode": ["free"]}),
    "safetyConfig.name": (*_NAMES, "", ["kiro-safety-config"], 7),
    "approvalGates": (None, {}, "technical-lead", [None], [{}], [{"name": "technical-lead"}]),
    "approvalGates.0.actions": (None, [], "Scale", ["scal"], ["Restart"], ["*"]),
    "approvalGates.0.approvers": (None, [], ["leads"], [{"kind": "Everyone", "name": "all"}]),
    "approvalGates.0.name": ("Technical Lead", "*", "", None),
}
"""Slips, by where they are made: whatever is meant by them, it is no more than the good policy says."""

ANOTHER_DAY = {"name": "day", "schedule": "0 0 * * *", "duration": "24h", "timeZone": "UTC"}
ODD_ZONES = (
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Africa/Casablanca",
)
EXPERT: dict[str, tuple[Any, ...]] = {
    "actions": (
        [
            *GOOD["actions"],
            {"name": "Scale", "approval": "Automatic", "budget": {"limit": 100, "window": "1m"}},
        ],
        [
            {"name": "Restart", "approval": "Automatic", "budget": {"limit": 100, "window": "1m"}},
            *GOOD["actions"],
        ],
        [{"name": "Scale", "approval": "Automatic", "budget": BUDGET}, *GOOD["actions"]],
        [*GOOD["actions"], {"name": "Delete", "approval": "Automatic", "budget": BUDGET}],
        [*GOOD["actions"], "Everything"],
    ),
    "minHealthy": (0, "0%", "1%"),
    "unhealthyRange": ("[0-99999]", *_RANGE[:-1]),
    "forbiddenWindows": (
        [*GOOD["forbiddenWindows"], {**NIGHTLY, "name": "x", "schedule": "0 6 31 2 *"}],
        [*GOOD["forbiddenWindows"], {**NIGHTLY, "name": "x", "timeZone": "Mars/Phobos"}],
        [*GOOD["forbiddenWindows"], {**NIGHTLY, "duration": "1m"}],
        [*GOOD["forbiddenWindows"], *({**NIGHTLY, "name": zone, "timeZone": zone} for zone in ODD_ZONES)],
        [{**ANOTHER_DAY, "name": zone, "timeZone": zone} for zone in ODD_ZONES] + GOOD["forbiddenWindows"],
    ),
    "maintenanceWindows": (
        [DAYS, {**DAYS, "name": "x", "schedule": "0 6 31 2 *"}, SUNDAYS],
        [DAYS, SUNDAYS, {**DAYS, "name": "x", "timeZone": "Mars/Phobos"}],
        [{**DAYS, "schedule": "0 6 29 2 *"}],
        [{**DAYS, "duration": "1m"}, {**SUNDAYS, "duration": "1m"}],
        [{**SUNDAYS, "schedule": "30 2 29 3 *", "duration": "1m"}],
        [{**SUNDAYS, "schedule": "30 2 25 10 *", "duration": "1m"}],
    ),
    "override": (True, "all", {"gates": []}),
    "force": (True,),
    "skipGates": (["budget", "storm", "approval"],),
    "status": ({"storm": None, "used": "0/100"},),
}
"""More than one thing at once, or what no schema knows: contradictions of which the narrower side counts."""


def _slips() -> Iterator[tuple[str, Object]]:
    for path in paths(GOOD):
        yield f"lost {path}", lost(path)
        yield f"null {path}", put(path, None)
    for source in (VALUES, EXPERT):
        for path, values in source.items():
            for number, value in enumerate(values):
                yield f"{path} {number}: {str(value)[:40]!r}", put(path, value)
    yield "two bounds", put("minHealthy", "0%")
    yield "nothing at all", {}
    yield "nothing but the mode", {"mode": "Enforce"}
    yield "the mode and an action", {"mode": "Enforce", "actions": WIDEST["actions"]}


def _greedy() -> Iterator[tuple[str, Object]]:
    """Valid, and wider than the good one: they may say so of themselves, not of the good one."""
    yield "the widest there is", WIDEST
    for field, value in WIDEST.items():
        if value != GOOD[field]:
            yield f"good, but the widest {field}", put(field, value)
    for number in range(3):
        yield f"action {number} of the widest", put("actions", [WIDEST["actions"][number]], WIDEST)
    yield "any range", put("unhealthyRange", "[0-99999]", put("maxUnhealthy", None, WIDEST))
    yield "nobody healthy", put("minHealthy", 0, put("maxUnhealthy", None, WIDEST))
    for zone in ODD_ZONES:
        yield f"all day in {zone}", put("maintenanceWindows", [{**ANOTHER_DAY, "timeZone": zone}], WIDEST)
    yield (
        "the hour that is skipped",
        put("maintenanceWindows", [{**SUNDAYS, "schedule": "0 2 * * *"}], WIDEST),
    )
    config = WIDEST["safetyConfig"]
    others: tuple[Object, ...] = (
        {"data": WANTED},
        {"data": {}},
        {"data": WANTED | {"backdoor": "on"}},
        {"name": "coredns"},
        {"name": "coredns", "data": {"Corefile": "."}},
        {"onDrift": "Observe"},
    )
    for changes in others:
        yield f"a configuration {changes}", put("safetyConfig", config | changes, WIDEST)
    gate = {"name": "operator-approver", "actions": ["Scale"], "approvers": LEADS}
    yield "another gate", put("approvalGates", [gate], GOOD)
    yield "gates at which its friends approve", put("approvalGates", [gate | {"name": "executive"}], WIDEST)


SLIPS = dict(_slips())
REFUSED = frozenset(repr(put("safetyConfig.name", name)) for name in _NAMES)
"""What none but the API server refuses: names of no object that there could be."""
GREEDY = dict(_greedy())
