"""The custom resources of group kiro.dev."""
