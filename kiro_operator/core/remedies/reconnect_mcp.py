"""ReconnectMCP: have Kiro's MCP client connect anew, by the command that the admin has configured."""

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.remedies import commands
from kiro_operator.core.writes import Chosen

RULES = commands.RULES
ADMITTED = commands.admitted(
    ActionName.RECONNECT_MCP, Chosen("mcpReconnectCommands", "[['mcp-client', 'reconnect']]")
)
REMEDY = commands.remedy(
    ActionName.RECONNECT_MCP, "--mcp-reconnect-command", "Run the reconnect command in a pod of the client"
)
