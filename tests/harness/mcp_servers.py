"""MCP servers as processes of their own, whose fault is switched while they run."""

from demo.backends import McpServer as McpProcess

__all__ = ["McpProcess"]
