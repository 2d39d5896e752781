"""``python -m kiro_operator.diagnose query ID -n NAMESPACE``: why one query was answered wrongly.

It reads the records in the logs of the selected pods with the rights of whoever runs it, and writes
nothing anywhere.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes import credentials
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.log_text import readable, split
from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.types import API_VERSION, parse_duration
from kiro_operator.core.diagnosis import diagnose, told
from kiro_operator.core.records import Record
from kiro_operator.core.redact import without_credentials
from kiro_operator.settings import Settings

PODS = 50
LIMIT_BYTES = 4_194_304
"""Of one container's log, the latest."""
MAX_LINES = 20_000


class Gone(Exception):
    """There is nothing to read, and why."""


async def query(client: Client, options: argparse.Namespace) -> str:
    """What the logs say of one query, in plain text.

    Raises:
        Gone: no pod is selected, or no record speaks of the query.
        ports.ApiError, ports.Unreachable: the API server does not let it be read.
    """
    mapping = await _mapping(client, options)
    pods = await _get(
        client,
        f"/api/v1/namespaces/{options.namespace}/pods",
        labelSelector=options.selector,
        limit=str(PODS),
    )
    containers = [
        (pod["metadata"]["name"], container["name"])
        for pod in pods["items"]
        for container in pod["spec"]["containers"]
    ]
    if not containers:
        raise Gone(f"no pod in namespace {options.namespace} has the labels {options.selector or '(any)'}")
    records: list[Record] = []
    for pod, container in containers:
        records += await _records(client, options, pod, container, mapping)
    found = diagnose(sorted(records, key=_time), options.id)
    if found is None:
        raise Gone(
            f"no record of the last {options.since} speaks of query {options.id}: "
            "docs/records.md says what Kiro has to log, --since reads more, --healthcheck maps fields"
        )
    return told(found)


async def _mapping(client: Client, options: argparse.Namespace) -> RecordsEvidence:
    if not options.healthcheck:
        return RecordsEvidence()
    path = f"/apis/{API_VERSION}/namespaces/{options.namespace}/kirohealthchecks/{quote(options.healthcheck)}"
    return KiroHealthCheckSpec.model_validate((await _get(client, path)).get("spec") or {}).record_fields


async def _records(
    client: Client, options: argparse.Namespace, pod: str, container: str, mapping: RecordsEvidence
) -> Sequence[Record]:
    seconds = str(max(1, int(parse_duration(options.since).total_seconds())))
    try:
        content = await client.get_text(
            f"/api/v1/namespaces/{options.namespace}/pods/{pod}/log",
            container=container,
            timestamps="true",
            sinceSeconds=seconds,
            tailLines=str(MAX_LINES),
            limitBytes=str(LIMIT_BYTES),
        )
    except ports.ApiError as error:
        if error.status in (400, 404):
            return ()  # it has not started yet, or is gone: it has no log
        raise
    read = split(content, after=0, limit_bytes=LIMIT_BYTES, max_lines=MAX_LINES)
    return (await readable(read.lines, mapping)).records


async def _get(client: Client, path: str, **params: str) -> Any:
    return msgspec.json.decode(await client.get(path, **params))


def _time(record: Record) -> float:
    """Records without a time come first: what has one is the later word on the same query."""
    return record.time.timestamp() if record.time else 0.0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kiro_operator.diagnose", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("query", help="what a query had and lacked, the reasoning on it, its documents")
    one.add_argument("id", help="id of the query, as the log has it")
    one.add_argument("-n", "--namespace", default="kiro-system", help="default: %(default)s")
    one.add_argument("-l", "--selector", default="", help="labels of the pods, such as app=kiro")
    one.add_argument("--since", default="24h", help="how far to look back; default: %(default)s")
    one.add_argument("--healthcheck", default="", help="KiroHealthCheck whose spec.records maps the fields")
    one.add_argument("--kubeconfig", help="default: KUBECONFIG, ~/.kube/config, or the pod's own account")
    one.add_argument("--context", help="context of the kubeconfig")
    options = parser.parse_args(arguments)
    try:
        parse_duration(options.since)
    except ValueError as error:
        parser.error(f"--since: {error}")
    return options


def _kubeconfig(given: str | None) -> str | None:
    default = Path.home() / ".kube" / "config"
    return given or os.environ.get("KUBECONFIG") or (str(default) if default.exists() else None)


async def _run(options: argparse.Namespace) -> str:
    settings = Settings(
        identity="diagnose",
        own_namespace=options.namespace,
        kubeconfig=_kubeconfig(options.kubeconfig),
        context=options.context,
    )
    client = Client(credentials.load(settings))
    try:
        return await query(client, options)
    finally:
        await client.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the diagnosis; returns the exit status: 1 when there is none, 2 when it cannot be had."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.write(asyncio.run(_run(options)))
    except Gone as nothing:
        sys.stderr.write(f"{nothing}\n")
        return 1
    except (credentials.CredentialsError, ports.ApiError, ports.Unreachable, ValueError) as error:
        sys.stderr.write(f"{without_credentials(str(error))}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
