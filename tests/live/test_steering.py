"""The checks of steering documents and hooks: ConfigMaps on the API server, and files in pods by exec.

A pod's file system is a folder of this machine: kwok runs the commands there, as the pod's user.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from devcluster import ControlPlane, faults
from devcluster.errors import ApiError
from devcluster.wait import until
from kiro_operator.adapters.kubernetes import exec as remote
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.steering import remembered, source
from kiro_operator.adapters.steering.lint import Linter
from kiro_operator.adapters.steering.source import SteeringSource
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import registry
from kiro_operator.core.evidence.steering import STEERING, Steering
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Sample, Unobserved
from kiro_operator.core.verdict import Status, Verdict
from kiro_operator.ports import PollRequest
from tests.adapters.helpers import facts, live_pods, live_services, poll, service_account
from tests.devcluster.helpers import make_deployment, make_pod, ready, wait_pod
from tests.harness.world import STEADY, World

PRODUCT = "# Product\n\nKiro looks after the checkout platform.\n"
TECH = "---\ninclusion: always\n---\n# Technology\n\n- Never restart pods automatically.\n"
BASE = (*source.RULES, *remote.RULES)
ALL = (*BASE, *remembered.RULES)
EXECS = "/apis/kwok.x-k8s.io/v1alpha1/namespaces/{}/execs"
NAME = "kiro"

Make = Callable[..., "Site"]


class Site:
    """A namespace, what is in it, and the source that samples it."""

    def __init__(self, plane: ControlPlane, namespace: str, client: Client) -> None:
        self.plane = plane
        self.namespace = namespace
        self.client = client
        self.source = SteeringSource(client)
        self.spec: dict[str, Any] = {"configMaps": ["kiro-steering"]}
        self.now = datetime.now(UTC)
        self._written: set[str] = set()

    def path(self, name: str = "", plural: str = "configmaps") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def documents(self, name: str = "kiro-steering", **binary: str) -> Callable[..., None]:
        """Write a ConfigMap whole."""

        def write(data: Mapping[str, str]) -> None:
            if name in self._written:
                self.plane.rest.delete(self.path(name))
            self._written.add(name)
            body = {"metadata": {"name": name}, "data": dict(data), "binaryData": binary}
            self.plane.rest.post(self.path(), body)

        return write

    def request(self, began: Mapping[str, datetime] | None = None) -> PollRequest:
        spec = KiroHealthCheckSpec.model_validate({"steering": self.spec})
        snapshot = facts(
            self.namespace,
            live_pods(self.plane, self.namespace),
            live_services(self.plane, self.namespace),
            began_failing=began or {},
        )
        return msgspec.structs.replace(poll(snapshot, spec=spec, now=self.now), name=NAME)

    async def sample(self) -> Steering:
        value = await self.source.observe(self.request())
        assert isinstance(value, Steering), value
        return value

    async def judge(
        self, check: str, began: Mapping[str, datetime] | None = None, **parameters: Any
    ) -> Verdict:
        request = self.request(began)
        value = await self.source.observe(request)
        sampled = {STEERING.name: Sample(1, self.now, value)}
        snapshot = msgspec.structs.replace(request.snapshot, samples=sampled)
        item = registry()[check].check
        return item.judge(snapshot, item.parameters.model_validate(parameters), self.now)

    async def expect(self, check: str, reason: str, *words: str, **more: Any) -> Verdict:
        """The check passes for the reason AsExpected, else fails for the reason given."""
        verdict = await self.judge(check, **more)
        wanted = Status.PASS if reason == "AsExpected" else Status.FAIL
        assert (verdict.status, verdict.reason) == (wanted, reason), verdict.message
        for word in words:
            assert word in verdict.message
        return verdict


@pytest_asyncio.fixture
async def make(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Make]:
    clients: list[Client] = []

    def made(rules: Iterable[Rule] = ALL) -> Site:
        clients.append(Client(service_account(control_plane, namespace, rules)))
        return Site(control_plane, namespace, clients[-1])

    yield made
    for client in clients:
        await client.close()


@pytest_asyncio.fixture
async def site(make: Make) -> Site:
    return make()


def files(folder: Path, content: Mapping[str, str]) -> Path:
    for name, text in content.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def inside(site: Site, pod: str, folder: Path, *, user: int | None = None) -> None:
    """Have commands in a pod run in a folder, as a user."""
    local: dict[str, Any] = {"workDir": str(folder)}
    if user is not None:
        local["securityContext"] = {"runAsUser": user, "runAsGroup": user}
    body = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Exec",
        "metadata": {"name": pod, "namespace": site.namespace},
        "spec": {"execs": [{"local": local}]},
    }
    site.plane.rest.post(EXECS.format(site.namespace), body)

    def reached() -> bool:
        command = ("exec", "-n", site.namespace, pod, "-c", "main", "--", "pwd")
        done = site.plane.kubectl(*command, check=False)
        return bool(done.returncode == 0 and str(folder) in str(done.stdout))

    until(reached, "kwok to know the Exec", 30.0)


def pod(site: Site, folder: Path, name: str = "kiro-0", *, user: int | None = None) -> None:
    """A pod whose working directory is a folder; the spec reads it."""
    make_pod(site.plane, site.namespace, name)
    wait_pod(site.plane, site.namespace, ready, "a running pod", name=name)
    inside(site, name, folder, user=user)
    site.spec = {"pods": {}}


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that other users can reach."""
    for parent in [tmp_path, *tmp_path.parents][:4]:
        if parent.owner() == Path.home().owner() and parent != Path("/tmp"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o755)
    return tmp_path


# --- from ConfigMaps ----------------------------------------------------------------------------------


@pytest.mark.flips("steering-integrity")
async def test_integrity_of_a_config_map(site: Site) -> None:
    await site.expect("steering-integrity", "ConfigMapMissing", "kiro-steering")
    site.documents()({"product.md": PRODUCT})
    await site.expect("steering-integrity", "AsExpected")
    await site.expect("steering-integrity", "DocumentMissing", "tech.md", required=["tech.md"])
    site.documents()({"product.md": PRODUCT, "tech.md": ""})
    await site.expect("steering-integrity", "Empty", ".kiro/steering/tech.md (ConfigMap kiro-steering)")
    site.documents(**{"tech.md": "w4Q="})({"product.md": PRODUCT})
    await site.expect("steering-integrity", "AsExpected", required=["tech.md"])
    site.documents(**{"tech.md": "YWJj/w=="})({"product.md": PRODUCT})
    await site.expect("steering-integrity", "Truncated", "tech.md")
    site.documents()({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-integrity", "AsExpected", required=["tech.md"])


async def test_a_config_map_of_one_mebibyte(site: Site) -> None:
    text = "# Product\n\n" + "Kiro looks after everything.\n" * 40_000
    site.documents()({"product.md": text[: 1_048_576 - len("product.md")]})
    found = await site.sample()
    assert [len(one.text) for one in found.documents] == [1_048_566]
    for check in ("steering-integrity", "steering-syntax", "steering-conflicts", "steering-environment"):
        await site.expect(check, "AsExpected")
    history = site.plane.rest.get(site.path(f"{NAME}-steering-history"))
    assert (
        json.loads(history["data"]["history.json"])["paths"][".kiro/steering/product.md"]["refused"]
        == "TooLarge"
    )


@pytest.mark.flips("steering-syntax")
async def test_syntax_of_a_config_map(site: Site) -> None:
    write = site.documents()
    write({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-syntax", "AsExpected", "not held against files")
    write({"product.md": PRODUCT, "tech.md": TECH.replace("always", "Always")})
    await site.expect("steering-syntax", "InvalidInclusion", "line 2, column 12")
    write({"product.md": PRODUCT, "tech.md": f"\n{TECH}"})
    await site.expect("steering-syntax", "FrontMatterNotFirst", "line 2, column 1")
    write({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-syntax", "AsExpected")


@pytest.mark.flips("hooks-syntax")
async def test_hooks_of_a_config_map(site: Site) -> None:
    hook = {"name": "x", "trigger": "Stop", "action": {"type": "command", "command": "make"}}
    good = json.dumps({"version": "v1", "hooks": [hook]})
    write = site.documents()
    write({"product.md": PRODUCT})
    assert (await site.judge("hooks-syntax")).status is Status.SKIPPED
    write({"product.md": PRODUCT, "build.json": good})
    await site.expect("hooks-syntax", "AsExpected")
    write({"product.md": PRODUCT, "build.json": good.replace("Stop", "Halt")})
    await site.expect("hooks-syntax", "UnknownTrigger", ".kiro/hooks/build.json")
    write({"hooks.build.json": good})
    await site.expect("hooks-syntax", "AsExpected")


async def test_yaml_hooks_go_through_yamllint(site: Site) -> None:
    write = site.documents()
    write({"lint.yaml": "hooks:\n- name: a\n"})
    verdict = await site.judge("hooks-syntax")
    assert (verdict.status, verdict.reason) == (Status.WARN, "NeverLoaded")
    write({"lint.yaml": "hooks:\n- name: a\n  name: b\n"})
    await site.expect("hooks-syntax", "YamlLint", "line 3, column 3", "key-duplicates")
    site.source = SteeringSource(site.client, Linter("/nowhere/yamllint"))
    assert (await site.judge("hooks-syntax")).reason == "NeverLoaded"
    write({"lint.yaml": "hooks: [\n"})
    await site.expect("hooks-syntax", "InvalidYaml")


@pytest.mark.flips("steering-conflicts")
async def test_conflicts_of_config_maps(site: Site) -> None:
    write = site.documents()
    write({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-conflicts", "AsExpected")
    write({"product.md": f"{PRODUCT}\n- Always restart pods automatically.\n", "tech.md": TECH})
    await site.expect(
        "steering-conflicts", "ContradictoryGuidance", "Always restart", "Never restart", "line 6"
    )
    write({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-conflicts", "AsExpected")
    site.documents("kiro-team")({"product.md": "# Another product\n"})
    site.spec = {"configMaps": ["kiro-steering", "kiro-team"]}
    await site.expect("steering-conflicts", "NameDefinedTwice", "ConfigMap kiro-team")


@pytest.mark.flips("steering-environment")
async def test_environment_of_config_maps(site: Site) -> None:
    site.spec["environment"] = {"name": "production", "regions": ["eu-central-1"]}
    host = f"http://mcp-server.{site.namespace}.svc:8080"
    site.documents()({"product.md": f"{PRODUCT}\nTools are at {host}, in eu-central-1.\n"})
    await site.expect("steering-environment", "HostMissing", "line 5", "mcp-server")
    service = {"metadata": {"name": "mcp-server"}, "spec": {"ports": [{"port": 8080}]}}
    site.plane.rest.post(site.path(plural="services"), service)
    await site.expect("steering-environment", "AsExpected")
    site.documents()({"product.md": f"{PRODUCT}\nEnvironment: staging\n"})
    await site.expect("steering-environment", "OtherEnvironment", "staging", "production")
    text = f"---\ninclusion: manual\n---\n{PRODUCT}\nEnvironment: staging\n"
    site.documents()({"product.md": text})
    await site.expect("steering-environment", "AsExpected")


@pytest.mark.flips("steering-permissions")
async def test_modes_of_mounts(site: Site) -> None:
    site.documents()({"product.md": PRODUCT})
    assert (await site.judge("steering-permissions")).reason == "NotMounted"

    def mounted(name: str, mode: int) -> None:
        body = {
            "metadata": {"name": name},
            "spec": {
                "securityContext": {"runAsUser": 1000, "runAsGroup": 1000},
                "containers": [
                    {"name": "main", "image": "kiro:1", "volumeMounts": [{"name": "s", "mountPath": "/w"}]}
                ],
                "volumes": [{"name": "s", "configMap": {"name": "kiro-steering", "defaultMode": mode}}],
            },
        }
        site.plane.rest.post(site.path(plural="pods"), body)
        wait_pod(site.plane, site.namespace, ready, "a running pod", name=name)

    def gone(name: str) -> None:
        site.plane.rest.delete(f"{site.path(name, 'pods')}?gracePeriodSeconds=0")
        until(lambda: not live_pods(site.plane, site.namespace), "the pod to go", 30.0)

    mounted("good", 0o444)
    await site.expect("steering-permissions", "AsExpected")
    gone("good")
    mounted("closed", 0o400)
    await site.expect("steering-permissions", "Unreadable", "mode 0400", "Pod closed")
    gone("closed")
    mounted("open", 0o666)
    await site.expect("steering-permissions", "WritableByOthers", "mode 0666")
    gone("open")
    mounted("again", 0o444)
    await site.expect("steering-permissions", "AsExpected")


# --- from pods ----------------------------------------------------------------------------------------


async def test_files_of_a_pod(site: Site, open_folder: Path) -> None:
    files(open_folder, {".kiro/steering/product.md": PRODUCT, ".kiro/hooks/a.json": "{}", "docs/run.md": "x"})
    pod(site, open_folder)
    for check in ("steering-integrity", "steering-permissions", "steering-syntax", "steering-environment"):
        await site.expect(check, "AsExpected")
    await site.expect("hooks-syntax", "InvalidHook")
    found = await site.sample()
    assert found.workspace == (".kiro/hooks/a.json", ".kiro/steering/product.md", "docs/run.md")
    assert [(one.path, one.mode, one.uid) for one in found.documents] == [
        (".kiro/hooks/a.json", 0o644, os.getuid()),
        (".kiro/steering/product.md", 0o644, os.getuid()),
    ]
    product = open_folder / ".kiro/steering/product.md"
    product.write_text(f"{PRODUCT}\nSee #[[file:docs/run.md]] and #[[file:docs/walk.md]].\n")
    await site.expect("steering-syntax", "BrokenReference", "line 5, column 31", "docs/walk.md")
    files(open_folder, {"docs/walk.md": "x"})
    await site.expect("steering-syntax", "AsExpected")
    product.write_text('---\ninclusion: fileMatch\nfileMatchPattern: "**/*.tf"\n---\n# T\n')
    await site.expect("steering-syntax", "DeadPattern")
    files(open_folder, {"infra/main.tf": ""})
    await site.expect("steering-syntax", "AsExpected")
    product.unlink()
    await site.expect("steering-integrity", "NoDocuments")


async def test_documents_for_files_in_common(site: Site, open_folder: Path) -> None:
    def for_files(pattern: str, words: str) -> str:
        return f'---\ninclusion: fileMatch\nfileMatchPattern: "{pattern}"\n---\n# Style\n\n- {words}\n'

    style = for_files("**/*.ts", "Use spaces for indentation.")
    files(
        open_folder,
        {
            ".kiro/steering/rules.md": for_files("src/**", "Use tabs for indentation."),
            ".kiro/steering/style.md": style,
            "src/run.py": "",
            "lib/a.ts": "",
        },
    )
    pod(site, open_folder)
    await site.expect("steering-conflicts", "AsExpected")
    files(open_folder, {"src/b.ts": ""})
    await site.expect(
        "steering-conflicts",
        "ContradictoryGuidance",
        "(line 7, column 3)",
        "both are included for 'src/b.ts'",
    )
    files(open_folder, {".kiro/steering/style.md": style.replace("spaces", "tabs")})
    await site.expect("steering-conflicts", "AsExpected")


async def test_modes_of_files(site: Site, open_folder: Path) -> None:
    files(open_folder, {".kiro/steering/product.md": PRODUCT, ".kiro/steering/tech.md": TECH})
    pod(site, open_folder, user=65534)
    product = open_folder / ".kiro/steering/product.md"
    await site.expect("steering-permissions", "AsExpected")
    product.chmod(0o646)
    await site.expect("steering-permissions", "WritableByOthers", "mode 0646")
    product.chmod(0o600)
    await site.expect("steering-permissions", "Unreadable", "mode 0600")
    product.chmod(0o644)
    await site.expect("steering-permissions", "AsExpected")
    folder = open_folder / ".kiro/steering"
    folder.chmod(0o700)
    await site.expect("steering-permissions", "Unreadable", ".kiro/steering/")
    folder.chmod(0o755)
    await site.expect("steering-permissions", "AsExpected")


async def test_replicas_that_differ(site: Site, open_folder: Path) -> None:
    make_deployment(site.plane, site.namespace, replicas=2)

    def both() -> bool:
        return sum(pod.status.phase == "Running" for pod in live_pods(site.plane, site.namespace)) == 2

    until(both, "two running pods", 60.0)
    names = sorted(pod.metadata.name for pod in live_pods(site.plane, site.namespace))
    for name in names:
        inside(site, name, files(open_folder / name, {".kiro/steering/product.md": PRODUCT}))
    site.spec = {"pods": {}}
    await site.expect("steering-integrity", "AsExpected")
    files(open_folder / names[1], {".kiro/steering/product.md": f"{PRODUCT}More.\n"})
    await site.expect("steering-integrity", "ReplicasDiffer", ".kiro/steering/product.md")
    files(open_folder / names[0], {".kiro/steering/product.md": f"{PRODUCT}More.\n"})
    await site.expect("steering-integrity", "AsExpected")


async def test_hostile_files(site: Site, open_folder: Path) -> None:
    files(open_folder, {".kiro/steering/product.md": PRODUCT})
    folder = open_folder / ".kiro/steering"
    pod(site, open_folder)
    (folder / "zero.md").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.md")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "a\nkiro-00 644 0 0 3 b.md").write_text("x")
    assert [one.path for one in (await site.sample()).documents] == [".kiro/steering/product.md"]
    for name in ("huge.md", "huger.md"):
        with (folder / name).open("wb") as file:
            file.truncate(2**33)
    refused = await site.source.observe(site.request())
    assert isinstance(refused, Unobserved)
    assert refused.reason == "TooLarge"
    (folder / "huger.md").unlink()
    verdict = await site.judge("steering-integrity")
    assert (verdict.status, verdict.reason) == (Status.WARN, "TooLarge")
    assert verdict.findings[0].object.name == ".kiro/steering/huge.md"


async def test_without_permissions(make: Make, open_folder: Path) -> None:
    site = make(())
    verdict = await site.judge("steering-integrity")
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "Forbidden")
    assert "configmaps" in verdict.message
    site = make(source.RULES)
    pod(site, files(open_folder, {".kiro/steering/product.md": PRODUCT}))
    verdict = await site.judge("steering-integrity")
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "Forbidden")
    assert "pods/exec" in verdict.message


# --- the history --------------------------------------------------------------------------------------


async def test_a_change_before_answers_got_worse(site: Site) -> None:
    write = site.documents()
    write({"product.md": PRODUCT, "tech.md": TECH})
    await site.expect("steering-changes", "AsExpected")
    write({"product.md": PRODUCT, "tech.md": TECH.replace("Never", "Always")})
    site.now = datetime.now(UTC) + timedelta(seconds=2)
    began = {"query-context": site.now + timedelta(minutes=5)}
    site.now += timedelta(minutes=10)
    verdict = await site.expect("steering-changes", "ChangedBeforeFailure", "query-context", began=began)
    assert ".kiro/steering/tech.md was changed by " in verdict.message
    assert "-- Never restart pods automatically. | +- Always restart pods automatically." in verdict.message
    await site.expect("steering-changes", "AsExpected", began={})
    # The next process remembers, and says the same.
    site.source = SteeringSource(site.client)
    again = await site.expect("steering-changes", "ChangedBeforeFailure", began=began)
    assert again.message == verdict.message


async def test_what_the_history_holds(site: Site) -> None:
    write = site.documents()
    write({"product.md": PRODUCT, "tech.md": TECH, "secret.md": "# Access\n\npassword: hunter2hunter2\n"})
    await site.sample()
    path = site.path(f"{NAME}-steering-history")
    first = site.plane.rest.get(path)
    paths = json.loads(first["data"]["history.json"])["paths"]
    assert first["data"][f"text.{paths['.kiro/steering/tech.md']['good']}"] == TECH
    assert paths[".kiro/steering/secret.md"]["refused"] == "Secret"
    assert "hunter2" not in json.dumps(first)
    await site.sample()
    assert site.plane.rest.get(path)["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    write({"product.md": PRODUCT, "tech.md": f"\n{TECH}"})
    site.now += timedelta(minutes=5)
    await site.sample()
    second = site.plane.rest.get(path)
    held = json.loads(second["data"]["history.json"])["paths"][".kiro/steering/tech.md"]
    assert second["data"][f"text.{held['good']}"] == TECH, "the last version that passed stays"
    assert len(held["revisions"]) == 2


async def test_two_operators_lose_nothing(make: Make) -> None:
    one, other = make(), make()
    write = one.documents()
    write({"product.md": PRODUCT})
    await one.sample()
    await other.sample()
    for turn in range(3):
        write({"product.md": f"{PRODUCT}{turn}\n"})
        for site in (one, other):
            site.now += timedelta(minutes=1)
            await site.sample()
    body = one.plane.rest.get(one.path(f"{NAME}-steering-history"))
    held = json.loads(body["data"]["history.json"])["paths"][".kiro/steering/product.md"]
    assert len(held["revisions"]) == 4


async def test_without_the_grant_it_lives_in_memory(make: Make) -> None:
    site = make(source.RULES)
    write = site.documents()
    write({"product.md": PRODUCT})
    verdict = await site.expect("steering-changes", "AsExpected", "in memory only", "configmaps")
    write({"product.md": f"{PRODUCT}More.\n"})
    site.now += timedelta(minutes=1)
    began = {"service-logs": site.now + timedelta(minutes=1)}
    site.now += timedelta(minutes=2)
    await site.expect("steering-changes", "ChangedBeforeFailure", "+More.", "in memory only", began=began)
    await site.expect("steering-changes", "AsExpected", *verdict.message.split(". ")[:1], began={})


# --- the whole operator -------------------------------------------------------------------------------


def test_an_operator_tells_it_in_the_status(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    world = World(control_plane, namespace, tmp_path)
    documents = world.path("configmaps", api="/api/v1")
    try:
        body = {"metadata": {"name": "kiro-steering"}, "data": {"a.md": PRODUCT}}
        control_plane.rest.post(documents, body)
        ids = [item.id for item in registry().values() if STEERING in item.check.sources]
        checks = [{"id": one, "enabled": False} for one in registry() if one not in ids]
        checks += [{"id": one, "interval": "5s"} for one in ids]
        made = world.health_check(steering={"configMaps": ["kiro-steering"]}, checks=checks)
        world.operator(*STEADY)
        world.wait_check("steering-syntax", "Pass")
        control_plane.rest.patch(f"{documents}/kiro-steering", {"data": {"a.md": f"\n{TECH}"}})
        told = world.wait_check("steering-syntax", "Fail")
        assert told["reason"] == "FrontMatterNotFirst"
        assert told["objects"] == [{"kind": "SteeringDocument", "name": ".kiro/steering/a.md"}]
        control_plane.rest.patch(f"{documents}/kiro-steering", {"data": {"a.md": TECH}})
        world.wait_check("steering-syntax", "Pass")
        history = world.get("configmaps", f"{NAME}-steering-history", api="/api/v1")
        assert [one["uid"] for one in history["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]
        assert json.loads(history["data"]["history.json"])["paths"].keys() == {".kiro/steering/a.md"}
    finally:
        world.close()


class Rated:
    """An operator that looks at steering documents and at the log of a pod that answers queries."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._queries = 0
        self._documents = world.path("configmaps", api="/api/v1")
        world.plane.rest.post(
            self._documents, {"metadata": {"name": "kiro-steering"}, "data": {"tech.md": TECH}}
        )
        make_pod(world.plane, world.namespace, "web")
        wait_pod(world.plane, world.namespace, ready, "a running pod", name="web")
        self._log = faults.logs(world.plane, world.namespace, "web", ["kiro 1.8.2 ready"])
        quick = {"interval": "5s", "failureThreshold": 1, "successThreshold": 1}
        wanted: list[dict[str, Any]] = [
            {"id": "steering-changes", "interval": "5s"},
            {"id": "query-context", "parameters": {"minQueries": 5}, **quick},
        ]
        names = {item["id"] for item in wanted}
        off = [{"id": name, "enabled": False} for name in registry() if name not in names]
        world.health_check(steering={"configMaps": ["kiro-steering"]}, checks=[*off, *wanted])
        world.operator(*STEADY)

    def steer(self, text: str) -> None:
        """Write the document anew."""
        self.world.plane.rest.patch(f"{self._documents}/kiro-steering", {"data": {"tech.md": text}})

    def answer(
        self, count: int, feedback: str = "good", *, ago: timedelta = timedelta(0), vague: bool = False
    ) -> None:
        """Log queries, as Kiro does."""
        said = {"record": "query", "time": (datetime.now(UTC) - ago).isoformat(), "feedback": feedback}
        said |= {} if vague else {"environment": "production", "scope": "namespace shop", "context": "a.txt"}
        numbers = range(self._queries, self._queries + count)
        faults.append_log(self._log, [json.dumps(said | {"id": f"q-{number}"}) for number in numbers])
        self._queries += count


@pytest.fixture
def rated(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Rated]:
    world = World(control_plane, namespace, tmp_path)
    try:
        yield Rated(world)
    finally:
        world.close()


@pytest.mark.flips("steering-changes")
def test_an_operator_holds_a_change_against_the_check_that_fails_after_it(rated: Rated) -> None:
    world = rated.world
    rated.answer(6)
    world.wait_check("query-context", "Pass")
    world.wait_check("steering-changes", "Pass")
    rated.steer(TECH.replace("Never", "Always"))
    rated.answer(20, vague=True)
    told = world.wait_check("steering-changes", "Fail")
    assert told["reason"] == "ChangedBeforeFailure"
    assert "Steering document .kiro/steering/tech.md was changed by " in told["message"]
    assert "before query-context began to fail" in told["message"]
    assert "-- Never restart pods automatically. | +- Always restart pods automatically." in told["message"]
    assert world.check("query-context")["status"] == "Fail"
    rated.steer(TECH)
    rated.answer(80)
    world.wait_check("steering-changes", "Pass")
    assert world.check("query-context")["status"] == "Pass"


@pytest.mark.flips("steering-changes")
def test_an_operator_holds_a_change_against_the_ratings_after_it(rated: Rated) -> None:
    world = rated.world
    rated.answer(20, ago=timedelta(minutes=2))
    world.wait_check("query-context", "Pass")
    world.wait_check("steering-changes", "Pass")
    rated.steer(TECH.replace("Never", "Always"))
    rated.answer(20, "bad")
    told = world.wait_check("steering-changes", "Fail")
    assert told["reason"] == "ChangedBeforeBadFeedback"
    assert "more answers were rated bad from then on" in told["message"]
    assert "+- Always restart pods automatically." in told["message"]
    assert (told["observed"], told["threshold"]) == ("about 100% rated bad", "about 0.0% before the change")
    assert world.check("query-context")["status"] == "Pass"
    rated.steer(TECH)
    rated.answer(20)
    world.wait_check("steering-changes", "Pass")


# --- the spec -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steering", "words"),
    [
        ({}, "write the names of configMaps, or pods"),
        ({"pods": {"root": "workspace"}}, "write an absolute path such as /workspace"),
        ({"pods": {"root": "/work/../etc"}}, "write an absolute path such as /workspace"),
        ({"pods": {"root": "-delete"}}, "write an absolute path such as /workspace"),
        ({"pods": {"replicas": 9}}, "should be less than or equal to 5"),
        ({"configMaps": ["Kiro_Steering"]}, "write an object's name"),
    ],
)
def test_the_spec_is_refused(site: Site, steering: dict[str, Any], words: str) -> None:
    body = {"apiVersion": "kiro.dev/v1alpha1", "kind": "KiroHealthCheck", "metadata": {"name": "kiro"}}
    path = f"/apis/kiro.dev/v1alpha1/namespaces/{site.namespace}/kirohealthchecks"
    with pytest.raises(ApiError, match=words):
        site.plane.rest.post(path, body | {"spec": {"steering": steering}})
    site.plane.rest.post(path, body | {"spec": {"steering": {"pods": {"root": "/workspace/a.b"}}}})


async def test_a_config_map_of_somebody_else_is_left_alone(site: Site) -> None:
    site.documents()({"product.md": PRODUCT})
    theirs = {"metadata": {"name": f"{NAME}-steering-history"}, "data": {"theirs": "as it was"}}
    site.plane.rest.post(site.path(), theirs)
    await site.expect("steering-changes", "AsExpected", "in memory only")
    found = site.plane.rest.get(site.path(f"{NAME}-steering-history"))
    assert found["data"] == {"theirs": "as it was"}
    assert "ownerReferences" not in found["metadata"]
