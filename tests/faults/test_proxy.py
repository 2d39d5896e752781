"""The proxy itself: each fault does what it says, and no fault is nothing to notice."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.kubeconfig import Access
from devcluster.proxy import FaultProxy
from devcluster.rest import Rest
from devcluster.wait import until

# The proxy ends TLS, so a client's certificate does not reach the API server: a token does.


@pytest.fixture
def rest(control_plane: ControlPlane, namespace: str, proxy: FaultProxy) -> Iterator[Rest]:
    control_plane.kubectl("create", "serviceaccount", "tester", "-n", namespace)
    account = f"--serviceaccount={namespace}:tester"
    control_plane.kubectl("create", "rolebinding", "tester", "--clusterrole=admin", account, "-n", namespace)
    folder = control_plane.service_account_dir(namespace, "tester")
    made = Rest(Access(proxy.url, folder / "ca.crt", None, (folder / "token").read_text()))
    yield made
    made.close()


def config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}}


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def test_without_a_fault_it_forwards_and_remembers(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    rest.post(maps, config_map("one"))

    assert rest.get(f"{maps}/one")["metadata"]["name"] == "one"
    with pytest.raises(ApiError, match="404"):
        rest.get(f"{maps}/none")
    assert [(seen.method, seen.status) for seen in proxy.seen(path="configmaps")] == [
        ("POST", 201), ("GET", 200), ("GET", 404),
    ]  # fmt: skip
    assert proxy.seen("POST")[0].json["metadata"]["name"] == "one"


def test_an_error_is_answered_as_often_as_asked(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    fault = proxy.answer(429, retry_after=7, method="POST", path="/configmaps", count=1)

    with pytest.raises(ApiError, match="429 TooManyRequests"):
        rest.post(maps, config_map("one"))
    assert not fault.hits[0].forwarded
    rest.post(maps, config_map("one"))
    assert len(fault.hits) == 1


def test_the_predicate_and_the_method_choose(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.answer(500, method="POST", when=lambda seen: seen.json["metadata"]["name"] == "two")

    rest.post(maps, config_map("one"))
    with pytest.raises(ApiError, match="500"):
        rest.post(maps, config_map("two"))
    assert len(rest.get(maps)["items"]) >= 1


def test_the_answer_is_dropped_after_the_change_was_made(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.drop_answer(method="POST", count=1)

    with pytest.raises((OSError, http.client.HTTPException)):
        rest.post(maps, config_map("one"))
    assert rest.get(f"{maps}/one")


def test_a_refused_request_never_arrives(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.refuse(method="POST", count=1)

    with pytest.raises((OSError, http.client.HTTPException)):
        rest.post(maps, config_map("one"))
    with pytest.raises(ApiError, match="404"):
        rest.get(f"{maps}/one")


def test_hooks_are_called_before_and_after(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    order: list[tuple[str, bool, int]] = []
    proxy.before(lambda seen: order.append(("before", seen.forwarded, seen.status)), method="POST")
    proxy.after(lambda seen: order.append(("after", seen.forwarded, seen.status)), method="GET")

    rest.post(maps, config_map("one"))
    rest.get(f"{maps}/one")

    assert order == [("before", False, 0), ("after", True, 200)]


def test_a_delay_and_a_hang_hold_the_request(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.delay(0.3, count=1)
    began = time.monotonic()
    rest.get(maps)
    assert time.monotonic() - began >= 0.3

    fault = proxy.hang(count=1)
    done = threading.Event()

    def call() -> None:
        rest.get(maps)
        done.set()

    caller = threading.Thread(target=call)
    caller.start()
    fault.wait()
    assert not fault.hits[0].forwarded
    assert not done.is_set()
    fault.lift()
    caller.join(10)
    assert done.is_set()


def test_watches_are_streamed_held_and_cut(
    control_plane: ControlPlane, proxy: FaultProxy, rest: Rest, maps: str
) -> None:
    version = rest.get(maps)["metadata"]["resourceVersion"]
    connection = rest._connect()
    connection.request("GET", f"{maps}?watch=1&resourceVersion={version}", headers=rest._headers)
    seen: list[str] = []
    ended = threading.Event()

    def read() -> None:
        with contextlib.closing(connection), connection.getresponse() as answer:
            with contextlib.suppress(OSError, http.client.HTTPException):
                seen.extend(json.loads(line)["object"]["metadata"]["name"] for line in answer)
            ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: proxy.streams("configmaps"), "the stream")
    control_plane.rest.post(maps, config_map("one"))
    until(lambda: seen == ["one"], "the first line, unbuffered")

    fault = proxy.half_open(path="configmaps")
    control_plane.rest.post(maps, config_map("two"))
    fault.wait()
    assert seen == ["one"]
    assert not ended.is_set()
    fault.lift()
    until(lambda: seen == ["one", "two"], "what was held")

    assert proxy.cut("configmaps") == 1
    assert ended.wait(10)
    reader.join(10)


def test_an_unknown_matcher_is_refused(proxy: FaultProxy) -> None:
    with pytest.raises(TypeError, match="verb"):
        proxy.answer(500, verb="GET")


def test_a_hung_request_that_is_not_to_be_forwarded_never_arrives(
    proxy: FaultProxy, rest: Rest, maps: str
) -> None:
    fault = proxy.hang(forward=False, method="POST", count=1)
    failed = threading.Event()

    def call() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            rest.post(maps, config_map("one"))
        failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    fault.wait()
    fault.lift()
    caller.join(10)
    assert failed.is_set()
    with pytest.raises(ApiError, match="404"):
        rest.get(f"{maps}/one")


def test_a_request_that_is_sent_twice_is_answered_the_second_time(
    proxy: FaultProxy, rest: Rest, maps: str
) -> None:
    proxy.twice(method="POST", count=1)

    with pytest.raises(ApiError, match="409 AlreadyExists"):
        rest.post(maps, config_map("one"))
    assert rest.get(f"{maps}/one")


def test_stale_reads_are_as_they_were_recorded(proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.record_reads()
    before = rest.get(maps)
    rest.post(maps, config_map("one"))
    assert rest.get(maps) != before

    fault = proxy.stale(path="configmaps")
    assert rest.get(maps) == before
    assert rest.get(f"{maps}/one")["metadata"]["name"] == "one"  # it was never read before
    assert len(fault.hits) == 1
    fault.lift()
    assert rest.get(maps) != before


TOLD = {
    "drop_events": ["b", "d"],
    "duplicate_events": ["a", "a", "b", "b", "c", "c", "d", "d"],
    "reorder_events": ["b", "a", "d", "c"],
}


@pytest.mark.parametrize("how", TOLD)
def test_events_are_lost_doubled_and_swapped(
    control_plane: ControlPlane, proxy: FaultProxy, rest: Rest, maps: str, how: str
) -> None:
    getattr(proxy, how)(path="configmaps.*watch=1")
    made = [control_plane.rest.post(maps, config_map(name)) for name in "abcd"]
    before = int(made[0]["metadata"]["resourceVersion"]) - 1

    with events(rest, f"{maps}?watch=1&resourceVersion={before}") as lines:
        assert [next(lines) for _ in TOLD[how]] == TOLD[how]


def test_events_are_late(control_plane: ControlPlane, proxy: FaultProxy, rest: Rest, maps: str) -> None:
    proxy.delay_events(0.5, path="configmaps")
    version = rest.get(maps)["metadata"]["resourceVersion"]

    with events(rest, f"{maps}?watch=1&resourceVersion={version}") as lines:
        until(lambda: proxy.streams("configmaps"), "the stream")
        began = time.monotonic()
        control_plane.rest.post(maps, config_map("a"))
        assert next(lines) == "a"
        assert time.monotonic() - began >= 0.5


@contextlib.contextmanager
def events(rest: Rest, path: str) -> Iterator[Iterator[str]]:
    """Names of the objects that a watch tells of."""
    connection = rest._connect()
    with contextlib.closing(connection):
        connection.request("GET", path, headers=rest._headers)
        with connection.getresponse() as answer:
            yield (json.loads(line)["object"]["metadata"]["name"] for line in answer)


def test_a_client_that_never_says_goodbye_does_not_outlive_the_proxy(control_plane: ControlPlane) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with FaultProxy(control_plane) as proxy:
            client = Rest(Access(proxy.url, control_plane.ca, None, "nobody"))
            with pytest.raises(ApiError, match="401"):
                client.get("/version/nothing")
        del proxy
        gc.collect()
        client.close()
    assert [str(item.message) for item in told if item.category is ResourceWarning] == []


def test_connections_that_come_while_it_closes_are_not_left_open(control_plane: ControlPlane) -> None:
    assert [line for _ in range(8) for line in left_open(control_plane)] == []


def left_open(control_plane: ControlPlane) -> list[str]:
    """What is still open after a proxy has closed to which clients went on to connect."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    closed = threading.Event()

    def knock(port: int) -> None:
        while not closed.is_set():
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=1) as plain,
                unchecked.wrap_socket(plain) as line,
            ):
                line.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with FaultProxy(control_plane) as proxy:
            port = urlsplit(proxy.url).port or 0
            callers = [threading.Thread(target=knock, args=(port,), daemon=True) for _ in range(6)]
            for caller in callers:
                caller.start()
            until(lambda: len(proxy.seen()) >= len(callers), "requests of the clients", 30)
        closed.set()
        for caller in callers:
            caller.join()
        gc.collect()
    texts = [str(item.message) for item in told if item.category is ResourceWarning]
    # A client that is cut off before its handshake has begun leaves its end to the collector: ssl does.
    own = f"laddr=('127.0.0.1', {port})"
    return [text for text in texts if "laddr=" not in text or own in text]
