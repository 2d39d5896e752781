"""Hooks are written as Kiro reads them."""

from datetime import datetime

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Document, Steering
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.steering import hooks
from kiro_operator.core.steering.judging import INTERVAL, of_problems, since, verdict
from kiro_operator.core.steering.problems import Problem
from kiro_operator.core.verdict import Finding, Verdict, skipped, unknown

BEYOND = Problem(
    1,
    1,
    "TooLargeJson",
    f"not read: it and the hooks before it are longer than {hooks.TOTAL} characters together",
    warning=True,
)


class HooksSyntaxParameters(Parameters):
    """Thresholds of hooks-syntax: there are none."""


def judge(snapshot: Snapshot, parameters: HooksSyntaxParameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Judge each file in the folder of hooks by the form that its name promises."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    files = sorted(
        (one for one in steering.documents if one.is_hook and one.readable and not one.cut),
        key=lambda one: (one.path, one.origin),
    )
    if not files:
        if steering.partial is not None:
            return unknown(steering.partial)
        return skipped("NoHooks", f"There is no hook in namespace {snapshot.namespace} to judge.")
    failures: list[Finding] = []
    warnings: list[Finding] = []
    room = hooks.TOTAL
    for document in files:
        room -= len(document.text)
        wrong = _problems(document, steering) if room >= 0 else [BEYOND]
        if wrong:
            finding = of_problems(document, wrong, since(document, snapshot, now))
            (warnings if wrong[0].warning else failures).append(finding)
    return verdict(failures, warnings, steering, "The hooks are written as Kiro reads them.")


def _problems(document: Document, steering: Steering) -> list[Problem]:
    if document.invalid_at is not None:
        return [Problem(1, 1, "InvalidHook", f"byte {document.invalid_at + 1} is no UTF-8")]
    found = hooks.read(document.path, document.text)
    if all(problem.warning for problem in found):
        found += [
            Problem(lint.line, lint.column, "YamlLint", f"yamllint: {lint.message}", lint.level != "error")
            for lint in steering.lints
            if lint.path == document.path
        ]
    return sorted(found, key=lambda item: (item.warning, item.line, item.column, item.reason))


CHECK = Check(
    title="Hooks are well-formed",
    section="responsiveness-steering",
    command="yamllint .kiro/hooks/*.yaml; python3 -m json.tool {name}",
    sources=(STEERING,),
    judge=judge,
    parameters=HooksSyntaxParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
