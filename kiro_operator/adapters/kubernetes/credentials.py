"""Where the API server is and how to be known to it.

In a pod the ServiceAccount's files say both, and are read without the `kubernetes` package, whose
import alone costs more memory than two thousand watched pods. A kubeconfig goes through that
package, because it knows exec plugins and the other ways to log in.
"""

import atexit
import os
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from kiro_operator.settings import Settings

TOKEN_LIFETIME = 60.0
"""Seconds after which a token file is read again: the kubelet rotates projected tokens."""


class CredentialsError(Exception):
    """There is no usable way to the API server; the message says what to set."""


class Credentials(Struct, frozen=True):
    """An API server, and how to be known to it."""

    server: str
    ca_file: str | None
    token: Callable[[], str | None]
    """The bearer token now; it changes while the process lives."""
    certificate: tuple[str, str] | None = None
    """Files of the client certificate and its key."""
    refused: Callable[[], None] = lambda: None
    """To be told that the API server does not know the token: it is read again before it is used again."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context for this server; None for plain http."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate:
            context.load_cert_chain(*self.certificate)
        return context

    def ca(self) -> bytes | None:
        """What the file of the CA holds now; None where the system's own is trusted."""
        return Path(self.ca_file).read_bytes() if self.ca_file else None


def load(settings: Settings, environment: Mapping[str, str] | None = None) -> Credentials:
    """Find the API server.

    Raises:
        CredentialsError: neither a pod's ServiceAccount nor a usable kubeconfig is there.
    """
    if settings.kubeconfig or settings.context:
        return _from_kubeconfig(settings)
    return _from_service_account(settings.service_account, os.environ if environment is None else environment)


def _from_service_account(folder: Path, environment: Mapping[str, str]) -> Credentials:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token_file = folder / "token"
    if not host or not port or not token_file.exists():
        raise CredentialsError(
            "no API server: neither does this run in a pod with a ServiceAccount token "
            f"(KUBERNETES_SERVICE_HOST and {token_file}), nor was --kubeconfig given"
        )
    address = f"[{host}]" if ":" in host else host
    token = _TokenFile(token_file)
    return Credentials(
        f"https://{address}:{port}", str(folder / "ca.crt"), token.current, refused=token.forget
    )


class _TokenFile:
    """A bearer token that somebody else renews in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._token = ""
        self._read_at = float("-inf")

    def current(self) -> str:
        if time.monotonic() - self._read_at > TOKEN_LIFETIME:
            self._token, self._read_at = self._file.read_text().strip(), time.monotonic()
        return self._token

    def forget(self) -> None:
        self._read_at = float("-inf")


def _from_kubeconfig(settings: Settings) -> Credentials:
    from kubernetes import client, config  # noqa: PLC0415 - heavy: imported only where it is needed

    configuration = client.Configuration()
    # Keys that stand in the kubeconfig itself are written there; the package removes the files alone.
    folder = tempfile.mkdtemp(prefix="kiro-operator-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=settings.kubeconfig,
            context=settings.context,
            client_configuration=configuration,
            persist_config=False,
            temp_file_path=folder,
        )
    except config.ConfigException as error:
        raise CredentialsError(f"kubeconfig {settings.kubeconfig or 'default'}: {error}") from error

    def token() -> str | None:
        refresh: Callable[[client.Configuration], None] | None = configuration.refresh_api_key_hook
        if refresh:
            refresh(configuration)
        value = configuration.api_key.get("authorization") or configuration.api_key.get("BearerToken")
        return value.removeprefix("Bearer ") if value else None

    pair = (configuration.cert_file, configuration.key_file)
    certificate = (str(pair[0]), str(pair[1])) if all(pair) else None
    return Credentials(configuration.host, configuration.ssl_ca_cert, token, certificate)
