"""Requests to what a KiroHealthCheck names: bounded, to allowed addresses only, without redirects.

Whoever may write a KiroHealthCheck is not trusted with the operator's place in the network: a Service
of the same namespace, or a host that the admin allows, and nothing that resolves to loopback, link-local
or metadata addresses. Everything that comes back is hostile until proven otherwise.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct

from kiro_operator import __version__
from kiro_operator.adapters.http.body import bounded
from kiro_operator.adapters.network.connections import Resolver, Unresolved
from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.core.objects import Service
from kiro_operator.core.snapshot import Unobserved

LIMIT = 8 * 1024 * 1024
"""Bytes of an answer's body."""


class Response(Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class _Forbidden(OSError):
    """The name resolves to nothing that may be connected to."""


class Fetcher:
    """GETs and POSTs to endpoints, over connections of their own."""

    def __init__(
        self,
        resolver: Resolver,
        allowed_hosts: frozenset[str] = frozenset(),
        credentials: Path | None = None,
        services: Callable[[str, str], Service | None] = lambda _namespace, _name: None,
    ) -> None:
        """``services`` looks a Service up by namespace and name; None where none is known."""
        self._services = services
        self._resolver = resolver
        self._allowed = allowed_hosts
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self,
        endpoint: Endpoint,
        namespace: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        within: float = 10.0,
        limit: int = LIMIT,
    ) -> Response | Unobserved:
        """GET ``path``, or POST a form to it, at an endpoint; any status is a Response."""
        url = self.url(endpoint, namespace)
        if isinstance(url, Unobserved):
            return url
        access = self.access(endpoint, namespace)
        if isinstance(access, Unobserved):
            return access
        headers, context = access
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(within):
                async with self._open().request(
                    "GET" if form is None else "POST",
                    url + path,
                    params=params,
                    data=form,
                    headers=headers,
                    ssl=context,
                    allow_redirects=False,
                ) as response:
                    body = await bounded(response, limit)
        except TimeoutError:
            return Unobserved("Timeout", f"{url}{path} did not answer within {within:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return unreachable(url, error)
        if body is None:
            return Unobserved("AnswerTooLarge", f"{url}{path} answers with more than {limit} bytes")
        if 300 <= response.status < 400:
            return Unobserved("Redirected", f"{url}{path} answers with a redirect, which is not followed")
        seconds = asyncio.get_running_loop().time() - started
        return Response(response.status, {k.lower(): v for k, v in response.headers.items()}, body, seconds)

    async def json(
        self, endpoint: Endpoint, namespace: str, path: str, type_: Any, **options: Any
    ) -> Any | Unobserved:
        """The answer read as JSON of a type; a status other than 2xx is Unobserved."""
        response = await self.fetch(endpoint, namespace, path, **options)
        if isinstance(response, Unobserved):
            return response
        if problem := refused(response, path):
            return problem
        try:
            return msgspec.json.decode(response.body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")[:64]
            message = f"{path} answers with something else ({kind}): {error}"
            return Unobserved("MalformedAnswer", message[:500])

    def url(self, endpoint: Endpoint, namespace: str) -> str | Unobserved:
        """Scheme, host, port and path prefix; Unobserved when the host is not allowed."""
        if endpoint.service is not None:
            if problem := _leads_away(self._services(namespace, endpoint.service.name), namespace):
                return problem
        else:
            host = (endpoint.host or "").lower()
            if host not in self._allowed:
                return Unobserved(
                    "HostNotAllowed",
                    f"the operator may not connect to {host}: name a Service of namespace {namespace}, "
                    f"or start it with --allow-host {host}",
                )
            if _literal(host) and self._resolver.forbids(host.rpartition(":")[0]):
                return Unobserved("AddressForbidden", f"{host} is an address that is never connected to")
        return endpoint.url(namespace)

    def access(
        self, endpoint: Endpoint, namespace: str
    ) -> tuple[dict[str, str], ssl.SSLContext | bool] | Unobserved:
        """Headers that authenticate and the trust to verify with, from the admin's credentials.

        A credential is for the hosts that its ``host`` lists: whoever names it must not choose who gets it.
        """
        if endpoint.credential is None:
            return {}, True
        folder = self._credentials / namespace / endpoint.credential if self._credentials else None
        if folder is None or not folder.is_dir():
            return Unobserved(
                "CredentialNotFound",
                f"there is no credential {endpoint.credential} for namespace {namespace}: mount it as "
                f"{namespace}/{endpoint.credential}/token in the operator's --credentials-dir",
            )
        try:
            hosts = (folder / "host").read_text().lower().split() if (folder / "host").exists() else []
            token = (folder / "token").read_text().strip() if (folder / "token").exists() else ""
            authority = folder / "ca.crt"
            context = ssl.create_default_context(cafile=str(authority)) if authority.exists() else True
        except (OSError, UnicodeDecodeError, ssl.SSLError) as error:
            # The error names a file, never what is in it.
            message = f"credential {endpoint.credential}: {type(error).__name__}"
            return Unobserved("CredentialUnreadable", message)
        host = _listed(endpoint, namespace)
        if host not in hosts:
            return Unobserved(
                "CredentialNotForHost",
                f"credential {endpoint.credential} is not for {host}: where it is to go there, have the "
                f"admin write {host} into {namespace}/{endpoint.credential}/host",
            )
        if token and endpoint.scheme != "https" and not (folder / "insecure").exists():
            return Unobserved(
                "CredentialNeedsHttps",
                f"the token of credential {endpoint.credential} is not sent to {host} in the clear: set "
                f"scheme: https, or have the admin add {namespace}/{endpoint.credential}/insecure",
            )
        return ({"Authorization": f"Bearer {token}"} if token else {}), context

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        context: ssl.SSLContext | bool,
    ) -> aiohttp.ClientResponse:
        """One request whose answer the caller reads, bounds and closes; ``url`` begins with what url() gave.

        Raises:
            aiohttp.ClientError: it cannot be reached.
        """
        return await self._open().request(
            method, url, data=body or None, headers=headers, ssl=context, allow_redirects=False
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=64, limit_per_host=8, resolver=Addresses(self._resolver), use_dns_cache=False
                ),
                headers={"User-Agent": f"kiro-operator/{__version__}", "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


class Addresses(AbstractResolver):
    """Resolves for aiohttp by the operator's own rules: what is forbidden is not found."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the signature is aiohttp's
    ) -> list[ResolveResult]:
        """Addresses of ``service.namespace.svc``, or of a host that the admin allows.

        Raises:
            OSError: there is none that may be connected to.
        """
        try:
            found = await self._resolver.resolve(host, port)
        except Unresolved as error:
            raise OSError(None, f"{host} has no address: {error}") from error
        allowed = [address for address in found if not self._resolver.forbids(address[0])]
        if not allowed:
            raise _Forbidden(None, f"{host} resolves to an address that is not allowed")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=number,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address, number in allowed
        ]

    async def close(self) -> None:
        """Nothing is held."""


def refused(response: Response, path: str) -> Unobserved | None:
    """Why an answer's status is none to read a body of; None for 2xx."""
    if 200 <= response.status < 300:
        return None
    if response.status in {401, 403}:
        return Unobserved(
            "Unauthorized",
            f"{path} answers {response.status}: it wants a credential, or another one; set credential",
        )
    return Unobserved("BadAnswer", f"{path} answers with status {response.status}")


def _literal(host: str) -> bool:
    """Whether a host is an IPv4 address, which no resolver is asked for."""
    return host.rpartition(":")[0].replace(".", "").isdigit()


def _leads_away(service: Service | None, namespace: str) -> Unobserved | None:
    """Why a Service is none of its namespace: whoever may write one could point it anywhere.

    One that is not known has no address either.
    """
    if service is None or (service.spec.type != "ExternalName" and service.spec.selector):
        return None
    name = service.metadata.name
    return Unobserved(
        "ServiceNotOwn",
        f"Service {name} selects no pods of namespace {namespace} but points elsewhere: give it a "
        "selector, or name a host that the operator was started with permission for",
    )


def _listed(endpoint: Endpoint, namespace: str) -> str:
    """An endpoint as a credential's ``host`` names it: ``service.namespace:port``, or its host."""
    if endpoint.service is not None:
        return f"{endpoint.service.name}.{namespace}:{endpoint.service.port}"
    return (endpoint.host or "").lower()


def unreachable(url: str, error: BaseException) -> Unobserved:
    """Why a request failed, in words that hold no address."""
    cause = error.__cause__ if isinstance(error, aiohttp.ClientConnectorDNSError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError):
        return Unobserved("CertificateInvalid", f"{url}: its certificate does not verify")
    if isinstance(cause, _Forbidden) or "not allowed" in str(error):
        return Unobserved("AddressForbidden", f"{url} resolves to an address that is never connected to")
    return Unobserved("Unreachable", f"{url} cannot be reached: {_told(error)}")


def _told(error: BaseException) -> str:
    """What went wrong, without the addresses that were tried: those change from one sample to the next."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name has no address"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return type(error).__name__
