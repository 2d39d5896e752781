"""Samples Kiro's own MCP client: ``kubectl exec kiro-pod -- mcp-client test-connection``."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.exec import RULES, NoProgram, execute
from kiro_operator.adapters.kubernetes.unobserved import unobserved
from kiro_operator.core.evidence.mcp import MCP_CLIENT, ClientTest
from kiro_operator.core.mcp_client import choose
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved
from kiro_operator.core.writes import SILENT, Chosen, Must, Operation, Write

ADMITTED = (
    Write(
        by="mcp-connection",
        api_version="v1",
        resources=("pods/exec",),
        operations=(Operation.CONNECT,),
        chosen=(Chosen("mcpClientCommands", "[['mcp-client', 'test-connection']]"),),
        musts=(
            Must(
                "variables.words in variables.mcpClientCommands",
                "the command is not among mcpClientCommands of this policy",
            ),
            *SILENT,
        ),
    ),
)
"""The admin who sets --mcp-client-command puts that command there as well."""
LIMIT = 65_536
"""Bytes of output: its exit status is what counts."""
NOT_SET = Unobserved(
    NOT_CONFIGURED, "spec.mcp.client is not set: set it to {} to run mcp-client test-connection in a pod"
)
"""There is no test to run."""
_WHAT = "the exec of the MCP client's test"


class McpClient:
    """Runs the command in one pod a round."""

    source = MCP_CLIENT
    rules = RULES

    def __init__(self, client: Client, command: Sequence[str]) -> None:
        self._client = client
        # The admin's to say: whoever may write a KiroHealthCheck need not be allowed to exec.
        self._command = tuple(command)

    async def observe(self, request: ports.PollRequest) -> ClientTest | Unobserved:
        """The command's exit status in the first ready pod by name."""
        spec = request.spec.mcp.client if request.spec.mcp else None
        if spec is None:
            return NOT_SET
        if isinstance(request.snapshot.pods, Unobserved):
            return request.snapshot.pods
        chosen = choose(request.snapshot.pods, spec)
        if chosen is None:
            where = f" with container {spec.container}" if spec.container else ""
            return Unobserved(
                "NoReadyPod", f"no selected pod{where} is ready in namespace {request.namespace}"
            )
        pod, container = chosen
        within = min(spec.timeout, 0.8 * request.interval, timedelta(seconds=30)).total_seconds()
        test = ClientTest(pod.metadata.name, container, " ".join(self._command))
        return await self._run(request.namespace, test, within)

    async def _run(self, namespace: str, test: ClientTest, within: float) -> ClientTest | Unobserved:
        try:
            done = await execute(
                self._client, namespace, test.pod, test.container, self._command, within=within, limit=LIMIT
            )
        except TimeoutError:
            return msgspec.structs.replace(test, timed_out=True)
        except NoProgram:
            text = f"container {test.container} has no {self._command[0]}: set spec.mcp.client.container"
            return Unobserved("CommandNotFound", text)
        except ports.Unreachable as error:
            return unobserved(error, RULES[0], namespace, _WHAT)
        except ports.NotFound:
            return Unobserved("PodGone", f"pod {test.pod} went away before the test ran in it")
        except ports.ApiError as error:
            return unobserved(error, RULES[0], namespace, _WHAT)
        if done.truncated:
            return Unobserved("OutputTooLarge", f"{test.command} writes more than {LIMIT} bytes")
        return msgspec.structs.replace(test, status=done.status)
