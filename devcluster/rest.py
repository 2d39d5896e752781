"""A small HTTPS client for the API server: kept-alive connections, JSON, and many requests at once.

kubectl costs a process and a discovery for each call; a boot, a test that polls and a benchmark that fails
sixty pods in the same second cannot pay that.
"""

from __future__ import annotations

import http.client
import json
import queue
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

from devcluster.errors import ApiError
from devcluster.kubeconfig import Access
from devcluster.wait import until

S = TypeVar("S")
T = TypeVar("T")
Object = dict[str, Any]

REQUEST_TIMEOUT_SECONDS = 30.0
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
FIELD_MANAGER = "devcluster"
WORKERS = 16
FIRST_ERROR_STATUS = 400
TOO_MANY_REQUESTS = 429
BUSY_SECONDS = 30.0


def on_each(call: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Call with every item, on threads, and return the results in order; the first failure is raised."""
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="devcluster") as pool:
        return list(pool.map(call, items))


class Rest:
    """Talks to one API server; safe to use from several threads."""

    def __init__(self, access: Access) -> None:
        self._address = urlsplit(access.server)
        self._tls = ssl.create_default_context(cafile=str(access.ca))
        # Python 3.13 asks for X.509 extensions by default that private CAs may lack.
        self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if access.client:
            self._tls.load_cert_chain(access.client.cert, access.client.key)
        self._headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        self._idle: queue.LifoQueue[http.client.HTTPSConnection] = queue.LifoQueue()

    def get(self, path: str) -> Object:
        """GET; `path` may carry a query. A busy server, as after a change of a CRD, is asked again."""

        def answered() -> Object | None:
            try:
                return self.request("GET", path)
            except ApiError as error:
                if error.status != TOO_MANY_REQUESTS:
                    raise
                return None

        return until(answered, f"an answer to GET {path}", BUSY_SECONDS)

    def post(self, path: str, body: Object) -> Object:
        """Create an object."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any, content_type: str = MERGE) -> Object:
        """Patch an object, by default with a JSON merge patch."""
        return self.request("PATCH", path, body, content_type)

    def apply(self, path: str, body: Object) -> Object:
        """Create the object or bring it to `body`, by server-side apply."""
        return self.request("PATCH", f"{path}?fieldManager={FIELD_MANAGER}&force=true", body, APPLY)

    def delete(self, path: str) -> Object:
        """Delete an object."""
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Object:
        """Send one request and return the decoded answer.

        Raises:
            ApiError: The server refused it.
            OSError, http.client.HTTPException: The server could not be reached.
        """
        payload = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Content-Type": content_type, "Accept": "application/json"}
        status, content = self._exchange(method, path, payload, headers)
        try:
            answer = json.loads(content) if content else {}
        except ValueError:
            answer = {"message": content.decode(errors="replace")}
        if status >= FIRST_ERROR_STATUS:
            raise ApiError(status, str(answer.get("reason", "")), str(answer.get("message", "")))
        return dict(answer)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _exchange(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """One request on an idle connection; on a new one when the server closed that meanwhile."""
        while True:
            try:
                connection, fresh = self._idle.get_nowait(), False
            except queue.Empty:
                connection, fresh = self._connect(), True
            try:
                connection.request(method, path, payload, headers)
                response = connection.getresponse()
                content = response.read()
            except TimeoutError:
                connection.close()
                raise
            except (OSError, http.client.HTTPException):
                connection.close()
                if fresh:
                    raise
                continue
            self._idle.put(connection)
            return response.status, content

    def _connect(self) -> http.client.HTTPSConnection:
        host = self._address.hostname or ""
        return http.client.HTTPSConnection(
            host, self._address.port or 443, timeout=REQUEST_TIMEOUT_SECONDS, context=self._tls
        )
