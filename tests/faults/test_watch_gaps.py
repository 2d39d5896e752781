"""Watches that are cut, half open or too old: what went away unseen is not seen any more."""

from __future__ import annotations

import pytest

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.harness.world import STEADY, WATCHED_ONLY, World

PODS = r"/pods\?.*watch=1"


@pytest.mark.parametrize("how", ["answer", "expire"])
def test_pods_deleted_in_a_gap_leave_no_ghosts(world: World, proxy: FaultProxy, how: str) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)
    world.operator(*STEADY, server=proxy.url)
    world.wait_condition("Healthy", "True")
    broken = world.break_pod()["metadata"]["name"]
    world.wait_check("pods-ready", "Fail")
    assert broken in world.check("pods-ready")["message"]

    away = proxy.refuse(path=PODS)
    assert proxy.cut(PODS) == 1
    world.plane.rest.delete(world.path("pods", broken, api="/api/v1") + "?gracePeriodSeconds=0")
    world.all_ready("kiro", 4)
    assert world.check("pods-ready")["status"] == "Fail"  # nobody has told yet
    before = len(proxy.seen("GET", r"/pods\?limit"))
    gone = proxy.expire(path=PODS, count=1) if how == "expire" else proxy.answer(410, path=PODS, count=1)
    away.lift()
    world.wait_fault(gone)

    world.wait_check("pods-ready", "Pass")
    assert len(proxy.seen("GET", r"/pods\?limit")) == before + 1
    world.wait_condition("Healthy", "True")
    shown = world.describe()
    assert broken not in shown


def test_a_health_check_deleted_while_nobody_watched_is_swept(world: World, proxy: FaultProxy) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)
    operator = world.operator(*STEADY, "--sweep-interval", "2", server=proxy.url)
    world.wait_condition("Healthy", "True")
    assert proxy.streams(r"/pods\?") == 1

    watch = r"/kirohealthchecks\?.*watch="
    away = proxy.refuse(path=watch)
    assert proxy.cut(watch)
    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))
    gone = proxy.expire(path=watch, count=1)
    away.lift()
    world.wait_fault(gone)
    # kopf lists anew; an object that is not in the listing is no event to it.
    until(lambda: proxy.streams(watch), "kopf to be back", 30)

    until(lambda: "\nkiro_healthchecks 0.0" in operator.probe("/metrics")[1], "the sweep", 30)
    until(lambda: not proxy.streams(r"/pods\?"), "the end of its watches", 10)
    assert any("deleted unseen" in str(record["message"]) for record in operator.records())


def test_a_half_open_watch_makes_facts_unknown_and_the_probe_fail(world: World, proxy: FaultProxy) -> None:
    """What nobody has told anything about for too long is unknown: no verdict rests on it."""
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)
    operator = world.operator(*STEADY, "--stale-after", "8", server=proxy.url)
    world.wait_condition("Healthy", "True")
    assert operator.probe("/healthz")[0] == 200

    silent = proxy.half_open(path=r"watch=1")
    world.break_pod()

    until(lambda: operator.probe("/healthz")[0] == 503, "the probe to fail", 60)
    assert "a watch has been silent for" in operator.probe("/healthz")[1]
    silent.lift()
    # A silence is no verdict, neither good nor bad; once each kind is heard again the fault is seen.
    listed: set[str] = set()

    def once(seen: Request) -> bool:
        anew = seen.path not in listed
        listed.add(seen.path)
        return anew

    gone = proxy.answer(410, path=r"watch=1\b", when=once)
    proxy.cut(r"watch=1")
    gone.wait(9)
    world.wait_check("pods-ready", "Fail", timeout=60)
    until(lambda: operator.probe("/healthz")[0] == 200, "the probe to recover", 30)
