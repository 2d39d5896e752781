"""Writes kubeconfigs and reads the one thing back that is needed of a user's own: how to reach the server."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.errors import DevclusterError
from devcluster.pki import Pair

CONTEXT = "kiro-devcluster"


def write(path: Path, *, server: str, ca: Path, client: Pair) -> Path:
    """Write a kubeconfig whose only context uses the client certificate; JSON, which is YAML."""

    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": embedded(ca)}}
        ],
        "users": [
            {
                "name": CONTEXT,
                "user": {
                    "client-certificate-data": embedded(client.cert),
                    "client-key-data": embedded(client.key),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Access:
    """How to reach an API server over HTTPS: by client certificate or by token."""

    server: str
    ca: Path
    client: Pair | None = None
    token: str | None = None


def unpack(minified: dict[str, Any], folder: Path) -> Access:
    """Write the certificates of a minified, flattened kubeconfig (as JSON) to files in `folder`."""
    cluster = minified["clusters"][0]["cluster"]
    user = minified["users"][0]["user"]
    if "certificate-authority-data" not in cluster:
        raise DevclusterError("the context's cluster has no CA certificate; that is not supported")

    def extracted(name: str, encoded: str) -> Path:
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(encoded))
        return path

    ca = extracted("ca.crt", cluster["certificate-authority-data"])
    client = None
    if "client-certificate-data" in user:
        client = Pair(
            extracted("admin.crt", user["client-certificate-data"]),
            extracted("admin.key", user["client-key-data"]),
        )
    if client is None and "token" not in user:
        raise DevclusterError(
            "the context authenticates by a plugin; only client certificates and tokens are supported"
        )
    return Access(cluster["server"], ca, client, user.get("token"))
