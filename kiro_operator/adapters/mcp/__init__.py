"""MCP servers: health path, protocol, golden queries, and the client's own test by exec."""
