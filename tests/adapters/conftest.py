"""Clients, and a sandbox, that are closed when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import pytest_asyncio

from devcluster import ControlPlane
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.mcp.evaluation import Evaluator
from kiro_operator.core.permissions import Rule

from .helpers import plain, service_account

ClientWith = Callable[[Iterable[Rule]], Client]


@pytest_asyncio.fixture
async def client_with(control_plane: ControlPlane, namespace: str) -> AsyncIterator[ClientWith]:
    """Makes clients of the namespace's own ServiceAccounts, each with the permissions that it is given."""
    clients: list[Client] = []

    def make(rules: Iterable[Rule] = ()) -> Client:
        clients.append(Client(service_account(control_plane, namespace, rules)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest_asyncio.fixture
async def client_of() -> AsyncIterator[Callable[[str], Client]]:
    """Makes clients of servers that play an API server."""
    clients: list[Client] = []

    def make(url: str) -> Client:
        clients.append(plain(url))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest_asyncio.fixture
async def evaluator() -> AsyncIterator[Evaluator]:
    """One whose sandbox ends with the test."""
    made = Evaluator()
    yield made
    await made.close()
