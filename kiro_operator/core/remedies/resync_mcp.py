"""ResyncMCP: have the data behind the MCP servers resynchronized, by the command of the admin."""

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.remedies import commands
from kiro_operator.core.writes import Chosen

RULES = commands.RULES
ADMITTED = commands.admitted(ActionName.RESYNC_MCP, Chosen("mcpResyncCommands", "[['mcp-client', 'resync']]"))
REMEDY = commands.remedy(
    ActionName.RESYNC_MCP, "--mcp-resync-command", "Run the resync command in a pod of the client"
)
