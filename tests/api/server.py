"""The API server as the tests of this folder use it: by strict kubectl, and by plain HTTP."""

import subprocess
from typing import Any

import requests

from devcluster import ControlPlane
from kiro_operator.api.v1alpha1 import KINDS
from kiro_operator.api.v1alpha1.types import API_VERSION, ApiModel

MODELS: dict[str, type[Any]] = {model.KIND: model for model in KINDS if model.SCOPE == "Namespaced"}


class Server:
    """One namespace of the control plane."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        access = control_plane.admin
        self._session = requests.Session()
        # A proxy or a CA bundle of the environment is not meant for a server of our own.
        self._session.trust_env = False
        self._session.verify = str(access.ca)
        if access.client is not None:
            self._session.cert = (str(access.client.cert), str(access.client.key))
        if access.token is not None:
            self._session.headers["Authorization"] = f"Bearer {access.token}"
        self._base = f"{access.server}/apis/{API_VERSION}/namespaces/{namespace}"

    def kubectl(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run kubectl in the namespace; the caller looks at how it ended."""
        return self.control_plane.kubectl("-n", self.namespace, *arguments, input=text, check=False)

    def strict(self, text: str) -> "subprocess.CompletedProcess[str]":
        """Apply a document the way kubectl does by default, said aloud."""
        return self.kubectl("apply", "--validate=strict", "-f", "-", text=text)

    def post(self, kind: str, body: str, validation: str = "Ignore") -> requests.Response:
        """Create an object from YAML or JSON text, as a client does that ignores unknown fields."""
        return self._session.post(
            self._url(kind),
            params={"fieldValidation": validation},
            data=body.encode(),
            headers={"Content-Type": "application/yaml", "Accept": "application/json"},
        )

    def patch(self, kind: str, name: str, body: str, subresource: str = "") -> requests.Response:
        """Merge JSON text into an object, or into one of its subresources."""
        return self._session.patch(
            f"{self._url(kind)}/{name}{subresource}",
            data=body.encode(),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object."""
        answer = self._session.get(f"{self._url(kind)}/{name}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, kind: str, name: str) -> None:
        """Delete an object that is there."""
        self._session.delete(f"{self._url(kind)}/{name}").raise_for_status()

    def stored(self, kind: str, body: str) -> dict[str, Any] | None:
        """What a plain POST leaves in the server, read back and removed again; None when refused."""
        answer = self.post(kind, body)
        if answer.status_code != requests.codes.created:
            if answer.status_code not in (requests.codes.bad_request, requests.codes.unprocessable_entity):
                raise AssertionError(f"{answer.status_code}: {answer.text}")
            return None
        name = answer.json()["metadata"]["name"]
        found = self.get(kind, name)
        self.delete(kind, name)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _url(self, kind: str) -> str:
        return f"{self._base}/{MODELS[kind].PLURAL}"


def decoded(stored: dict[str, Any]) -> Any:
    """An object of the server as the operator reads it."""
    model: type[ApiModel] = MODELS[stored["kind"]]
    return model.model_validate({part: stored[part] for part in ("spec", "status") if part in stored})
