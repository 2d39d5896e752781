"""The admission policy by which the API server vouches for who decided on a plan.

It is written here once: `make rbac` makes the manifest of it, and the operator holds what is installed
against it. An approval counts only where nobody can have made it in another's name.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kiro_operator.api.v1alpha1.approval import LONGEST
from kiro_operator.api.v1alpha1.types import GROUP, VERSION, format_duration

ADMISSION = "admissionregistration.k8s.io"
NAME = "kiro-operator-approvals"
PATH = "deploy/base/admission/approvals.yaml"
"""Where `make rbac` writes it."""

_USER = "request.userInfo.username"
_WHERE = "request.namespace"
_GATE = "object.spec.gate"
_CREATED = "timestamp(object.metadata.creationTimestamp)"
_EXPIRES = "timestamp(object.spec.expiresAt)"
_MAY = (
    f"authorizer.group('{GROUP}').resource('kiroapprovals').subresource({_GATE})"
    f".namespace({_WHERE}).check('approve').allowed()"
)
_MOST = format_duration(LONGEST)
_UNOWNED = "!has(object.metadata.ownerReferences)"
_NO_OWNER = (
    "metadata.ownerReferences: a KiroApproval has no owner: the cluster would delete it with that, "
    "a denial as well"
)


def _validation(
    operation: str, expression: str, message: str, reason: str, told: str | None = None
) -> dict[str, str]:
    made = {
        "expression": f"request.operation != '{operation}' || {expression}",
        "message": message,
        "reason": reason,
    }
    return made if told is None else made | {"messageExpression": told}


POLICY: dict[str, Any] = {
    "apiVersion": f"{ADMISSION}/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": NAME},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [
                {
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["kiroapprovals"],
                    "scope": "*",
                }
            ],
        },
        "validations": [
            _validation(
                "CREATE",
                f"object.spec.decidedBy == {_USER}",
                "spec.decidedBy: write your own user name, as kubectl auth whoami tells it",
                "Forbidden",
                f"'spec.decidedBy: write ' + {_USER} + ', who you are: nobody decides for another'",
            ),
            _validation(
                "CREATE",
                _MAY,
                "spec.gate: you may not approve at this gate",
                "Forbidden",
                f"'spec.gate: ' + {_USER} + ' may not approve at the gate ' + {_GATE} + ' in namespace ' + "
                f"{_WHERE} + ': that takes the verb approve on kiroapprovals/' + {_GATE} + ' in {GROUP}'",
            ),
            _validation(
                "CREATE",
                f"({_EXPIRES} > {_CREATED} && {_EXPIRES} <= {_CREATED} + duration('{_MOST}'))",
                f"spec.expiresAt: write a time within the next {_MOST}, as date -u -d 1hour +%FT%TZ tells it",
                "Invalid",
            ),
            _validation(
                "UPDATE",
                "object.spec == oldObject.spec",
                "spec is immutable: it records what was decided; create another KiroApproval",
                "Invalid",
            ),
            _validation("CREATE", _UNOWNED, _NO_OWNER, "Forbidden"),
            _validation(
                "UPDATE",
                f"{_UNOWNED} || (has(oldObject.metadata.ownerReferences)"
                " && object.metadata.ownerReferences == oldObject.metadata.ownerReferences)",
                _NO_OWNER,
                "Forbidden",
            ),
        ],
    },
}

BINDING: dict[str, Any] = {
    "apiVersion": f"{ADMISSION}/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": NAME},
    "spec": {"policyName": NAME, "validationActions": ["Deny"]},
}


def problem(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> str:
    """What is wrong with an installed object, for an admin; empty when it is as it has to be.

    Whatever else stands in it may be an exception from it, so that nothing else may.
    """
    what = f"{wanted['kind']} {NAME}"
    if found is None:
        return f"{what} is not installed: apply {PATH}"
    if _plain(found.get("spec")) != _plain(wanted["spec"]):
        return f"{what} is not what this operator knows: apply {PATH} of its version"
    return ""


def in_force_since(*objects: Mapping[str, Any]) -> datetime:
    """Since when all of these have had the content that they have.

    Raises:
        KeyError, ValueError: they are not as the API server makes them.
    """
    times = [item["metadata"]["creationTimestamp"] for item in objects]
    times += [
        entry["time"]
        for item in objects
        for entry in item["metadata"].get("managedFields", ())
        if not entry.get("subresource") and "time" in entry
    ]
    return max(datetime.fromisoformat(time) for time in times)


def _plain(value: Any) -> Any:
    """The same without what is empty: the API server fills that in."""
    if isinstance(value, Mapping):
        inner = {key: _plain(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, [], None)}
    return [_plain(item) for item in value] if isinstance(value, list) else value
