"""TCP connects to the ports of Services: the connect and nothing else, no byte is sent."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from kiro_operator import ports
from kiro_operator.core.checks.responsiveness.network_connectivity import NetworkConnectivityParameters
from kiro_operator.core.evidence.connections import CONNECTIONS, Connection
from kiro_operator.core.objects import Service
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

CONCURRENT = 32
PORTS = 256
"""Ports that are tried in one sample, in the order of the Services' names."""
BUDGET = timedelta(seconds=12)
"""For one sample; of a short interval four fifths. No connect gets longer, whatever its timeout."""
ADDRESSES = 3
"""Addresses of one name that are tried; two where IPv4 and IPv6 are both there."""
LOOKUPS = 32
"""Names that are looked up at once, each in a thread of its own."""
LOOKUPS_EACH = 4
"""Of one namespace, or of one host outside: names that hang hold up nobody else's."""
LOOKUP = timedelta(seconds=3)
"""How long a name server is waited for."""

FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    # Link-local, where clouds serve credentials, and the metadata addresses outside of it.
    for network in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::23/128",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "0.0.0.0/8",
        "::/96",
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TELLING = ("refused", "timeout", "forbidden-address", "unreachable")
"""What is said of a name with several addresses: what comes first."""

Address = tuple[str, int]
"""An IP address and a port."""


class Unresolved(Exception):
    """A name has no address."""


class Resolver(Protocol):
    """Where a port of a host is; a Service's host is ``service.namespace.svc``."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """The addresses to try, in order.

        Raises:
            Unresolved: there is none.
        """

    def forbids(self, address: str) -> bool:
        """Whether no connection may be made to this IP address."""


class Dns:
    """The cluster's own names, as a pod resolves them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, "dns")
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Ask the resolver of the operating system, off the event loop.

        It cannot be interrupted: whoever gives up leaves the look-up behind, and its turn is taken
        until it ends.
        """
        turns = self._turns.setdefault(_whose(host), asyncio.Semaphore(LOOKUPS_EACH))
        await turns.acquire()
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        asked = asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        asked.add_done_callback(partial(_ended, turns))
        await asyncio.wait({asked}, timeout=LOOKUP.total_seconds())
        if not asked.done():
            raise Unresolved(f"no name server answered within {LOOKUP.total_seconds():g} s")
        try:
            found = asked.result()
        except (OSError, UnicodeError) as error:
            raise Unresolved(str(error)) from error
        return [(str(address[0]), port) for *_, address in found]

    def forbids(self, address: str) -> bool:
        """Besides what is never allowed: whoever writes DNS must not reach into the operator's pod."""
        return forbidden(address) or _parsed(address).is_loopback


def _whose(host: str) -> str:
    """The namespace of a Service's host; of another host, itself."""
    return host.split(".")[-2] if host.endswith(".svc") else f"{host}."


def _ended(turns: asyncio.Semaphore, asked: asyncio.Future[Any]) -> None:
    """Give a look-up's turn back; nobody may be left to hear of its error."""
    turns.release()
    if not asked.cancelled():
        asked.exception()


class Fixed:
    """Addresses that an admin has given, ``service.namespace:port`` → ``address:port``; no DNS."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Look the port up."""
        known = f"{host.removesuffix('.svc')}:{port}"
        given = self._addresses.get(known, "")
        address, _, number = given.rpartition(":")
        if not address or not number.isdigit():
            raise Unresolved(f"no address is given for {known}")
        return [(address.strip("[]"), int(number))]

    def forbids(self, address: str) -> bool:
        """Loopback is for the admin to decide."""
        return forbidden(address)


def forbidden(address: str) -> bool:
    """Whether nothing may ever connect there; so is what is no IP address."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return True
    if parsed.is_loopback:
        return False  # ::1 would be in ::/96; each resolver has its own rule for loopback
    return parsed.is_multicast or any(parsed in network for network in FORBIDDEN)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; the IPv4 address inside where it is but a way to that one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed in NAT64:
        return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed.ipv4_mapped or parsed.sixtofour or parsed


class Connections:
    """Samples a connect to each TCP port of each Service; the API server is not asked."""

    source = CONNECTIONS
    rules: tuple[Rule, ...] = ()

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def observe(self, request: ports.PollRequest) -> tuple[Connection, ...] | Unobserved:
        """One outcome a port, by the Services' names."""
        services = request.snapshot.services
        if isinstance(services, Unobserved):
            return services
        asked = request.parameters("network-connectivity")
        parameters: NetworkConnectivityParameters = asked or NetworkConnectivityParameters()
        budget = min(BUDGET, 0.8 * request.interval).total_seconds()
        timeout = min(parameters.timeout.total_seconds(), budget)
        wanted = sorted({pair for service in services for pair in tcp_ports(service)})[:PORTS]
        free = asyncio.Semaphore(CONCURRENT)
        end = asyncio.get_running_loop().time() + budget

        async def one(service: str, port: int) -> Connection | None:
            async with free:
                left = end - asyncio.get_running_loop().time()
                if left < timeout / 2:
                    return None  # too late for a fair try
                return await connect(
                    self._resolver, service, request.namespace, port, within=min(timeout, left)
                )

        outcomes = await asyncio.gather(*(one(service, port) for service, port in wanted))
        return tuple(outcome for outcome in outcomes if outcome is not None)


def tcp_ports(service: Service) -> list[tuple[str, int]]:
    """The ports that can be connected to; none of an ExternalName, which points out of the namespace."""
    if service.spec.type == "ExternalName":
        return []
    return [(service.metadata.name, port.port) for port in service.spec.ports if port.protocol == "TCP"]


async def connect(
    resolver: Resolver, service: str, namespace: str, port: int, *, within: float
) -> Connection:
    """Resolve a Service's name and connect to its port, both in ``within`` seconds."""
    clock = asyncio.get_running_loop().time
    start = clock()
    errors: set[str] = set()
    out_of_time = "unresolved"
    try:
        async with asyncio.timeout(within):
            addresses = await resolver.resolve(f"{service}.{namespace}.svc", port)
            out_of_time = "timeout"
            allowed = [address for address in addresses if not resolver.forbids(address[0])]
            errors = {"forbidden-address"} if len(allowed) < len(addresses) else set()
            for address in allowed[:ADDRESSES]:
                error = await _try(address)
                if not error:
                    return Connection(service, port, clock() - start)
                errors.add(error)
    except TimeoutError:
        errors.add(out_of_time)
    except Unresolved:
        errors.add("unresolved")
    error = next((word for word in _TELLING if word in errors), "unresolved")
    return Connection(service, port, clock() - start, error)


async def _try(address: Address) -> str:
    """Connect and hang up; what went wrong in one word, or nothing."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.0)
        try:
            await asyncio.get_running_loop().sock_connect(connection, address)
        except (ConnectionRefusedError, ConnectionResetError):
            return "refused"
        except TimeoutError:
            return "timeout"  # the kernel's own, ETIMEDOUT
        except OSError:
            return "unreachable"
    return ""
