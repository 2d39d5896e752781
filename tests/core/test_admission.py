"""What is installed is what vouches for approvals, or none of them counts."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from kiro_operator.core.admission import BINDING, POLICY, in_force_since, problem

Object = dict[str, Any]


def served(wanted: Object = POLICY) -> Object:
    """The object as the API server gives it back: with what it fills in."""
    found = copy.deepcopy(wanted)
    found["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}
    found["status"] = {"observedGeneration": 1, "typeChecking": {}}
    if wanted is POLICY:
        found["spec"]["matchConstraints"] |= {"namespaceSelector": {}, "objectSelector": {}}
    return found


def test_what_was_installed_is_recognised() -> None:
    assert problem(served(), POLICY) == ""
    assert problem(served(BINDING), BINDING) == ""


def only_warns(found: Object) -> None:
    found["spec"]["validationActions"] = ["Warn"]


def elsewhere(found: Object) -> None:
    found["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {"x": "y"}}}


def of_another(found: Object) -> None:
    found["spec"]["policyName"] = "other"


def with_parameters(found: Object) -> None:
    found["spec"]["paramRef"] = {"name": "x", "parameterNotFoundAction": "Allow"}


def ignores(found: Object) -> None:
    found["spec"]["failurePolicy"] = "Ignore"


def excepts(found: Object) -> None:
    found["spec"]["matchConditions"] = [{"name": "not-me", "expression": "request.userInfo.username != 'me'"}]


def excludes(found: Object) -> None:
    found["spec"]["matchConstraints"]["excludeResourceRules"] = [{"resourceNames": ["mine"]}]


def selects(found: Object) -> None:
    found["spec"]["matchConstraints"]["objectSelector"] = {"matchLabels": {"checked": "yes"}}


def edits_only(found: Object) -> None:
    found["spec"]["matchConstraints"]["resourceRules"][0]["operations"] = ["UPDATE"]


def believes(found: Object) -> None:
    found["spec"]["validations"][0]["expression"] = "true"


def lacks_one(found: Object) -> None:
    del found["spec"]["validations"][1]


def empty(found: Object) -> None:
    del found["spec"]


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        *((BINDING, change) for change in (only_warns, elsewhere, of_another, with_parameters, empty)),
        *(
            (POLICY, change)
            for change in (ignores, excepts, excludes, selects, edits_only, believes, lacks_one, empty)
        ),
    ],
)
def test_whatever_differs_is_not_trusted(wanted: Object, change: Callable[[Object], None]) -> None:
    found = served(wanted)
    change(found)
    assert "deploy/base/admission/approvals.yaml" in problem(found, wanted)


def test_what_is_not_there_is_to_be_installed() -> None:
    assert problem(None, BINDING) == (
        "ValidatingAdmissionPolicyBinding kiro-operator-approvals is not installed: "
        "apply deploy/base/admission/approvals.yaml"
    )


def test_it_is_in_force_since_its_content_last_changed() -> None:
    policy, binding = served(), served(BINDING)
    assert in_force_since(policy, binding) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    binding["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-03-04T12:00:00Z"},
        {"manager": "kube-apiserver", "time": "2026-03-09T12:00:00Z", "subresource": "status"},
    ]
    assert in_force_since(policy, binding) == datetime(2026, 3, 4, 12, tzinfo=UTC)
