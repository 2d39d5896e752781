"""An MCP server goes down: found over its own protocol, with what to do."""

from __future__ import annotations

from demo.cluster import NAMESPACE
from demo.stage import Scene, Stage


def play(stage: Stage) -> None:
    """Have the MCP server answer nothing but errors, see it found, and mend it."""
    stage.with_operator()
    stage.well()
    # It works; but current Kiro wants https, and that is told as well.
    stage.expect_check("mcp-tools", "Warn", "PlainHttp")
    stage.world.backends.mcp.fault("down")
    stage.say("The MCP server answers 503 to everything; its pods are Ready all the same.")
    verdict = stage.expect_check("mcp-server-health", "Fail", "BadStatus")
    stage.say(f"mcp-server-health: {verdict['message']}")
    stage.hold("mcp-server" in verdict["message"], "the message names the server")
    stage.hold(verdict.get("command"), "the verdict says what shows a person the same")
    stage.say(f"To see the same: {verdict['command']}")
    stage.expect_check("mcp-tools", "Fail")
    stage.expect_condition("Responsive", "False", "ChecksFailing")
    stage.show("get", "khc", "-n", NAMESPACE)
    stage.world.backends.mcp.fault()
    stage.say("It answers again.")
    stage.expect_check("mcp-server-health", "Pass")
    stage.expect_check("mcp-tools", "Warn", "PlainHttp")
    stage.well()


SCENE = Scene(
    "mcp",
    "An MCP server is down",
    "mcp-server-health and mcp-tools fail, name the server and say what to do; well again after it is.",
    play,
)
