"""A steering document is broken: found with line and column."""

from __future__ import annotations

import json

from demo.cluster import CORE_API, NAMESPACE
from demo.stage import Scene, Stage

CONFIG_MAP, KEY = "kiro-steering", "changes.md"
BROKEN = '---\ninclusion: fileMatch\nfileMatchPattern: ["**/*.tf"\n---\n# Changes\n'


def play(stage: Stage) -> None:
    """Leave a bracket open in the front matter, see it found, and put the document back."""
    stage.with_operator()
    stage.expect_check("steering-syntax", "Pass")
    path = f"{CORE_API}/configmaps/{CONFIG_MAP}"
    before = str(stage.world.plane.rest.get(path)["data"][KEY])
    _write(stage, BROKEN)
    stage.say(f"{KEY}: the bracket in its front matter is not closed, so Kiro would always include it.")
    verdict = stage.expect_check("steering-syntax", "Fail")
    stage.say(f"steering-syntax: {verdict['message']}")
    for part in (KEY, CONFIG_MAP, "line", "column"):
        stage.hold(part in verdict["message"], f"the message says {part}")
    _write(stage, before)
    stage.expect_check("steering-syntax", "Pass")
    stage.say("The document is as it was, and passes.")
    stage.well()


def _write(stage: Stage, text: str) -> None:
    patch = json.dumps({"data": {KEY: text}}, separators=(",", ":"))
    stage.kubectl("patch", f"configmap/{CONFIG_MAP}", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")


SCENE = Scene(
    "steering",
    "A steering document is broken",
    "steering-syntax fails and names the document, the ConfigMap, the line and the column.",
    play,
)
