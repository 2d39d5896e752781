"""Connects to real listeners that answer, refuse, hang and dawdle; and to names that lead nowhere."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.listen import Server
from kiro_operator.adapters.network import connections
from kiro_operator.adapters.network.connections import (
    LOOKUPS_EACH,
    Address,
    Connections,
    Dns,
    Fixed,
    Resolver,
    Unresolved,
    connect,
    forbidden,
    tcp_ports,
)
from kiro_operator.core.checks.responsiveness.network_connectivity import NetworkConnectivityParameters
from kiro_operator.core.evidence.connections import Connection
from kiro_operator.core.objects import Metadata, Service, ServicePort, ServiceSpec
from kiro_operator.core.snapshot import Unobserved

from .helpers import eventually, facts, live_services, poll

PARAMETERS = NetworkConnectivityParameters()


def service(name: str, *ports: ServicePort, kind: str = "ClusterIP") -> Service:
    return Service(Metadata(name), ServiceSpec(type=kind, ports=ports))


def only(address: str) -> Fixed:
    return Fixed({"web.kiro:80": address})


async def outcome(resolver: Resolver, within: float = 2.0) -> Connection:
    return await connect(resolver, "web", "kiro", 80, within=within)


@contextmanager
def full() -> Iterator[tuple[socket.socket, str]]:
    """A listener whose queue is full, so that the kernel lets a connect wait."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener, "127.0.0.1:{1}".format(*listener.getsockname())


def sockets() -> int:
    """Open sockets of this process."""
    return sum(link.startswith("socket:") for link in map(_link, Path("/proc/self/fd").iterdir()))


async def _as_before(before: int) -> bool:
    return sockets() <= before


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return ""


async def test_services_of_a_real_namespace(control_plane: ControlPlane, namespace: str) -> None:
    def create(name: str, **spec: Any) -> None:
        body = {"metadata": {"name": name}, "spec": spec}
        control_plane.rest.post(f"/api/v1/namespaces/{namespace}/services", body)

    two = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    create("web", ports=two, selector={"app": "web"})
    create("dns", ports=[{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53}])
    create("stats", ports=[{"port": 8125, "protocol": "UDP"}])
    create("out", type="ExternalName", externalName="example.com", ports=[{"port": 443}])
    create("peers", clusterIP="None", selector={"app": "db"})
    create("unknown", ports=[{"port": 9}])
    snapshot = facts(namespace, services=live_services(control_plane, namespace))
    with Server() as server:
        given = {
            f"web.{namespace}:80": server.address,
            f"web.{namespace}:81": "127.0.0.1:1",
            f"dns.{namespace}:53": server.address,
        }
        offset, before = control_plane.audit_offset(), sockets()
        sample = await Connections(Fixed(given)).observe(poll(snapshot, PARAMETERS))
        # The server's ends are in this process too: each closes when ours has.
        await eventually(lambda: _as_before(before), "all sockets to be closed")
    assert not isinstance(sample, Unobserved)
    assert [(one.service, one.port, one.error) for one in sample] == [
        ("dns", 53, ""),
        ("unknown", 9, "unresolved"),
        ("web", 80, ""),
        ("web", 81, "refused"),
    ]
    assert all(0 <= one.seconds < 1 for one in sample)
    assert not [
        event
        for event in control_plane.audit_events(offset, naming=namespace)
        if event["user"]["username"].startswith(f"system:serviceaccount:{namespace}:")
    ]


async def test_a_server_that_comes_and_goes() -> None:
    with Server() as server:
        resolver = only(server.address)
        assert (await outcome(resolver)).error == ""
        server.break_with("refuse")
        assert (await outcome(resolver)).error == "refused"
        server.mend()
        assert (await outcome(resolver)).error == ""
        server.break_with("hang")
        # It accepts and then says nothing: a connect is all that is looked at, and nothing was sent.
        assert (await outcome(resolver)).error == ""
        server.mend()
        assert server.requests == []


async def test_a_connect_that_hangs() -> None:
    before = sockets()
    with full() as (_, address):
        found = await outcome(only(address), within=0.3)
    assert found.error == "timeout"
    assert 0.3 <= found.seconds < 1.0
    assert sockets() == before


async def test_a_connect_that_is_slow() -> None:
    with full() as (listener, address):
        connecting = asyncio.create_task(outcome(only(address), within=10.0))
        await asyncio.sleep(0)  # it has sent its first SYN, which the full queue drops
        listener.accept()[0].close()
        found = await connecting
    # The kernel tries again after a second.
    assert found.error == ""
    assert 0.9 < found.seconds < 5.0


async def test_many_that_hang_take_no_longer_than_one() -> None:
    with full() as (_, address):
        services = [service(f"s{number:02}", ServicePort(80)) for number in range(connections.CONCURRENT)]
        given = {f"{one.metadata.name}.kiro:80": address for one in services}
        quick = NetworkConnectivityParameters(timeout=timedelta(seconds=1))
        start = time.monotonic()
        sample = await Connections(Fixed(given)).observe(poll(facts("kiro", services=services), quick))
        assert time.monotonic() - start < 3.0
    assert isinstance(sample, tuple)
    assert {one.error for one in sample} == {"timeout"}
    assert len(sample) == len(services)


async def test_what_there_is_no_time_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONCURRENT", 1)
    with full() as (_, address):
        services = [service(name, ServicePort(80)) for name in ("a", "b", "c")]
        given = {f"{one.metadata.name}.kiro:80": address for one in services}
        request = poll(facts("kiro", services=services), PARAMETERS, interval=timedelta(milliseconds=500))
        sample = await Connections(Fixed(given)).observe(request)
    assert isinstance(sample, tuple)
    assert [(one.service, one.error) for one in sample] == [("a", "timeout")]


class Answers:
    """A resolver that gives these addresses, with the rules of DNS."""

    def __init__(self, *addresses: Address, delay: asyncio.Event | None = None) -> None:
        self._addresses, self._delay = addresses, delay

    async def resolve(self, *_: str | int) -> Sequence[Address]:
        if self._delay:
            await self._delay.wait()
        return self._addresses

    def forbids(self, address: str) -> bool:
        return Dns().forbids(address)


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254"),
        *("fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),  # noqa: S104 - refused, not bound
        *("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"),
    ],
)
async def test_addresses_that_dns_must_not_lead_to(address: str) -> None:
    found = await outcome(Answers((address, 80)))
    assert found.error == "forbidden-address"
    assert found.seconds < 0.5


async def test_addresses_that_nobody_can_allow() -> None:
    for address in ("169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80", "localhost:80"):
        assert (await outcome(only(address))).error == "forbidden-address"
    with Server() as server:
        assert (await outcome(only(f"[::ffff:127.0.0.1]:{server.port}"))).error == ""


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        *((address, True) for address in ("168.63.129.16", "192.0.0.192", "fd20:ce::254", "fd00:ec2::23")),
        # An IPv4 address inside an IPv6 address: NAT64, 6to4, and what was meant for both once.
        *((address, True) for address in ("64:ff9b::a9fe:a9fe", "64:ff9b::169.254.169.254")),
        *(
            (address, True)
            for address in ("2002:a9fe:a9fe::1", "::a9fe:a9fe", "::a00:7", "64:ff9b::a83f:8110")
        ),
        *((address, False) for address in ("64:ff9b::a00:7", "2002:a00:7::1", "fd00::7", "10.0.0.7")),
        # Whether loopback is allowed is for a resolver to say.
        *((address, False) for address in ("::1", "127.0.0.1", "64:ff9b::7f00:1")),
    ],
)
def test_addresses_that_are_never_connected_to(address: str, refused: bool) -> None:  # noqa: FBT001
    assert forbidden(address) == refused
    assert Fixed({}).forbids(address) == refused


def test_loopback_behind_another_address() -> None:
    for address in ("64:ff9b::7f00:1", "2002:7f00:1::1", "::ffff:127.0.0.1", "::1", "127.0.0.1"):
        assert Dns().forbids(address)


async def test_one_of_several_addresses_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dns, "forbids", lambda _, address: forbidden(address))
    with Server() as server:
        addresses: list[Address] = [("169.254.1.1", 80), ("127.0.0.1", 1), ("127.0.0.1", server.port)]
        assert (await outcome(Answers(*addresses))).error == ""
        assert (await outcome(Answers(*addresses[:2]))).error == "refused"


async def test_no_way_to_an_address() -> None:
    assert (await outcome(Answers(("255.255.255.255", 80)))).error == "unreachable"


async def test_names_without_an_address() -> None:
    assert (await outcome(Answers())).error == "unresolved"
    assert (await outcome(Fixed({}))).error == "unresolved"
    assert (await outcome(only("nowhere"))).error == "unresolved"
    found = await outcome(Answers(delay=asyncio.Event()), within=0.2)
    assert found.error == "unresolved"
    assert 0.2 <= found.seconds < 1.0


async def test_dns_asks_for_the_clusters_name_and_turns_errors_into_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        asked.append((host, port))
        if len(asked) == 2:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert await Dns().resolve("web.kiro.svc", 80) == [("10.0.0.7", 80)]
    with pytest.raises(Unresolved):
        await Dns().resolve("web.kiro.svc", 80)
    assert asked == [("web.kiro.svc", 80)] * 2


class Names:
    """A getaddrinfo whose names with ``slow`` in them get no answer until ``over``."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if "slow" in host and not self.over.wait(timeout=30):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    known = Names()
    monkeypatch.setattr(socket, "getaddrinfo", known)
    yield known
    known.over.set()


async def test_names_that_hang_hold_up_nobody_elses(names: Names) -> None:
    """Not the other namespaces, and not the threads that everything else shares."""
    dns = Dns()
    slow = [asyncio.create_task(dns.resolve(f"slow{number}.evil.svc", 80)) for number in range(50)]
    slow += [asyncio.create_task(dns.resolve("slow.example.com", 443)) for _ in range(50)]

    async def all_asked() -> bool:
        return len(names.asked) == 2 * LOOKUPS_EACH

    await eventually(all_asked, "look-ups that hang")
    async with asyncio.timeout(2):
        assert await dns.resolve("web.kiro.svc", 80) == [("10.0.0.7", 80)]
        assert await dns.resolve("example.com", 443) == [("10.0.0.7", 443)]
        assert await asyncio.to_thread(len, "ab") == 2
    assert len(names.asked) == 2 * LOOKUPS_EACH + 2
    names.over.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*slow[:50]) == [[("10.0.0.7", 80)]] * 50
        assert await asyncio.gather(*slow[50:]) == [[("10.0.0.7", 443)]] * 50


async def test_a_look_up_is_given_up_and_keeps_its_turn_until_it_ends(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOKUP", timedelta(seconds=0.1))
    dns = Dns()
    for number in range(LOOKUPS_EACH):
        with pytest.raises(Unresolved, match="no name server answered"):
            await dns.resolve(f"slow{number}.evil.svc", 80)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await dns.resolve("web.evil.svc", 80)
    assert "web.evil.svc" not in names.asked
    names.over.set()
    async with asyncio.timeout(5):
        assert await dns.resolve("web.evil.svc", 80) == [("10.0.0.7", 80)]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (service("web", ServicePort(80), ServicePort(443)), [80, 443]),
        (service("dns", ServicePort(53, protocol="UDP"), ServicePort(53)), [53]),
        (service("sctp", ServicePort(7, protocol="SCTP")), []),
        (service("out", ServicePort(80), kind="ExternalName"), []),
        (service("headless"), []),
    ],
)
def test_ports(item: Service, expected: list[int]) -> None:
    assert [port for _, port in tcp_ports(item)] == expected


async def test_services_that_cannot_be_seen() -> None:
    unseen: Mapping[str, Unobserved] = {"services": Unobserved("StaleWatch", "silent")}
    request = poll(facts("kiro"), PARAMETERS)
    fields = {name: getattr(request.snapshot, name) for name in request.snapshot.__struct_fields__}
    snapshot = type(request.snapshot)(**{**fields, **unseen})
    assert await Connections(Fixed({})).observe(poll(snapshot, PARAMETERS)) is unseen["services"]
