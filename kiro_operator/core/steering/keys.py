"""Which file a key of a ConfigMap stands for. Keys have no slashes, so their names tell the folder."""

from kiro_operator.core.evidence.steering import HOOKS_FOLDER, MCP_SETTINGS, STEERING_FOLDER

_PREFIXES = (("steering.", STEERING_FOLDER), ("hooks.", HOOKS_FOLDER))
_HOOKS = (".kiro.hook", ".json", ".yaml", ".yml")


def path_of(key: str) -> str | None:
    """The file that a key stands for; None for a key that is none of Kiro's files.

    ``mcp.json`` and ``settings.mcp.json`` are the MCP settings. A prefix ``steering.`` or ``hooks.``
    tells the folder and is no part of the name. Without one ``.md`` is a steering document, and
    ``.json``, ``.kiro.hook``, ``.yaml`` and ``.yml`` are hooks.
    """
    if key in {"mcp.json", "settings.mcp.json"}:
        return MCP_SETTINGS
    for prefix, folder in _PREFIXES:
        name = key.removeprefix(prefix)
        # "steering.md" is a document of that name, not one without a name.
        if name != key and "." in name.strip("."):
            return folder + name
    if key.endswith(".md"):
        return STEERING_FOLDER + key
    return HOOKS_FOLDER + key if key.endswith(_HOOKS) else None
