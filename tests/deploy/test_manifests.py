from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheck
from kiro_operator.api.v1alpha1.safetybaseline import KiroSafetyBaseline
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicy, Mode
from kiro_operator.core.checks import registry
from kiro_operator.core.remedies import permissions, proposers, remedies
from kiro_operator.core.verdict import Status
from kiro_operator.settings import parse
from tests.adapters.helpers import facts
from tests.deploy.rendered import DEPLOY, OVERLAYS, ROOT, objects, of_kind

EVERYTHING = DEPLOY / "samples" / "policy-everything.yaml"
SAMPLES = sorted(path for path in (DEPLOY / "samples").glob("*.yaml") if path.stem != "approvers")


def pod_spec() -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("base", "Deployment")[0]["spec"]["template"]["spec"]
    return spec


def test_the_pod_has_no_rights_on_its_node() -> None:
    pod, container = pod_spec(), pod_spec()["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "volumes" not in pod
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


def test_the_flags_are_known_to_the_program() -> None:
    settings = parse(pod_spec()["containers"][0]["args"], {"POD_NAME": "kiro-operator-1"})
    assert settings.bind_address == "0.0.0.0"  # noqa: S104 - a pod's own address is not known before
    assert settings.port == pod_spec()["containers"][0]["ports"][0]["containerPort"]
    assert settings.identity.startswith("kiro-operator-1_")
    env = pod_spec()["containers"][0]["env"]
    assert [item["name"] for item in env] == ["POD_NAME"]


def test_the_lease_that_may_be_written_is_the_one_that_is_used() -> None:
    leases = [rule for role in of_kind("base", "Role") for rule in role["rules"] if "resourceNames" in rule]
    assert leases[0]["resourceNames"] == [parse([], {}).lease_name]


def test_probes_ask_pages_that_exist() -> None:
    container = pod_spec()["containers"][0]
    served = (ROOT / "kiro_operator/adapters/http/server.py").read_text()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert f'"{container[probe]["httpGet"]["path"]}"' in served
        assert container[probe]["httpGet"]["port"] == "metrics"


def test_everything_that_selects_the_pods_finds_them() -> None:
    labels = of_kind("base", "Deployment")[0]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        of_kind("base", "Deployment")[0]["spec"]["selector"]["matchLabels"],
        of_kind("base", "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
        of_kind("base", "NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"],
        of_kind("base", "Service")[0]["spec"]["selector"],
        *(item["labelSelector"]["matchLabels"] for item in pod_spec()["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        # A version in a selector would make an upgrade impossible: selectors cannot be changed.
        assert "app.kubernetes.io/version" not in selector


def test_only_metrics_can_be_reached_and_all_that_is_judged_can_be() -> None:
    policy = of_kind("base", "NetworkPolicy")[0]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "metrics"}]}]
    ports = {port["port"] for rule in policy["egress"] for port in rule.get("ports", [])}
    assert {53, 443, 6443} <= ports


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_bind_the_operators_service_account(overlay: str) -> None:
    for binding in of_kind(f"overlays/{overlay}", "RoleBinding", "ClusterRoleBinding"):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "kiro-operator", "namespace": "kiro-operator"}
        ]
    there = {item["metadata"].get("namespace") for item in objects(f"overlays/{overlay}")}
    assert there == {None, "kiro-operator", "kiro-system"}
    # A namespace of the platform is never the operator's to make, nor to take away.
    assert [item["metadata"]["name"] for item in of_kind(f"overlays/{overlay}", "Namespace")] == [
        "kiro-operator"
    ]


def test_every_crd_is_installed() -> None:
    installed = {item["metadata"]["name"] for item in of_kind("base", "CustomResourceDefinition")}
    there = {yaml.safe_load(path.read_text())["metadata"]["name"] for path in (ROOT / "crds").glob("*.yaml")}
    assert installed == there, "list the file in crds/Kustomization"


def test_no_manifest_names_a_registry() -> None:
    assert pod_spec()["containers"][0]["image"].partition(":")[0] == "kiro-operator"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_what_the_operator_reads(path: Any) -> None:
    body = yaml.safe_load(path.read_text())
    if body["kind"] == "KiroHealthCheck":
        KiroHealthCheck.model_validate({"spec": body["spec"]})
        return
    if body["kind"] == "KiroSafetyBaseline":
        KiroSafetyBaseline.model_validate({"spec": body["spec"]})
        return
    modes = {
        "observe": Mode.OBSERVE,
        "dry-run": Mode.DRY_RUN,
        "enforce": Mode.ENFORCE,
        "everything": Mode.DRY_RUN,
    }
    read = KiroSafetyPolicy.model_validate({"spec": body["spec"]})
    assert read.spec.mode is modes[path.stem.removeprefix("policy-")]


def test_the_dry_run_has_the_limits_of_the_real_thing() -> None:
    specs = [
        yaml.safe_load((DEPLOY / "samples" / f"policy-{name}.yaml").read_text())["spec"]
        for name in ("dry-run", "enforce")
    ]
    for spec in specs:
        del spec["mode"]
    assert specs[0] == specs[1]


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of all fields of a schema; what a map holds is its user's."""
    if "items" in schema:
        yield from _fields(schema["items"], path)
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _fields(field, f"{path}.{name}")


def _written(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all fields that a manifest sets."""
    for item in value if isinstance(value, list) else ():
        yield from _written(item, path)
    for name, field in value.items() if isinstance(value, dict) else ():
        yield f"{path}.{name}"
        yield from _written(field, f"{path}.{name}")


def test_the_sample_of_everything_shows_each_field_of_a_policy() -> None:
    crd = yaml.safe_load((ROOT / "crds" / "kiro.dev_kirosafetypolicies.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    text = EVERYTHING.read_text()
    spec = yaml.safe_load(text)["spec"]
    # Of these three a policy has one; the others stand beside it, to be chosen instead.
    others = {".minHealthy", ".unhealthyRange"}
    assert set(_fields(schema)) - set(_written(spec)) == others
    for name in others:
        alternative = text.replace("  maxUnhealthy:", "  # maxUnhealthy:").replace(
            f"# {name[1:]}:", f"{name[1:]}:"
        )
        chosen = yaml.safe_load(alternative)["spec"]
        assert name in set(_written(chosen))
        KiroSafetyPolicy.model_validate({"spec": chosen})


def test_the_sample_of_everything_lists_each_action_with_its_overlay() -> None:
    text = EVERYTHING.read_text()
    listed = {item["name"]: item["approval"] for item in yaml.safe_load(text)["spec"]["actions"]}
    assert set(listed) == {*remedies(), *proposers()}
    assert {name for name in listed if name in proposers()} <= {
        name for name, approval in listed.items() if approval == "Manual"
    }
    lines = text.splitlines()
    for action, rules in permissions().items():
        [line] = [line for line in lines if line.split("#")[0].strip() == f"- name: {action}"]
        assert all(f"/{rule.grant.value}" in line for rule in rules), line


@pytest.mark.parametrize("name", ["enforce", "everything"])
def test_the_samples_make_sense_when_they_are_enforced(name: str) -> None:
    body = yaml.safe_load((DEPLOY / "samples" / f"policy-{name}.yaml").read_text())
    spec = KiroSafetyPolicy.model_validate({"spec": body["spec"] | {"mode": "Enforce"}}).spec
    check = registry()["decision-criteria"].check
    snapshot = facts("kiro-system", policies={"platform": spec})
    verdict = check.judge(snapshot, check.parameters(), datetime(2026, 3, 2, tzinfo=UTC))
    assert verdict.status is Status.PASS, verdict.message


def test_the_gates_of_the_sample_are_those_of_its_approvers() -> None:
    gates = {gate["name"] for gate in yaml.safe_load(EVERYTHING.read_text())["spec"]["approvalGates"]}
    roles = yaml.safe_load_all((DEPLOY / "samples" / "approvers.yaml").read_text())
    named = {
        resource.partition("/")[2]
        for role in roles
        for rule in role.get("rules", ())
        for resource in rule["resources"]
        if rule["verbs"] == ["approve"]
    }
    assert gates <= named
