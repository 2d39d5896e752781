"""The demo as lines, for pipes, logs and tests."""

from __future__ import annotations

import datetime as dt

from demo.stage import Scene


class PlainScreen:
    """Prints each thing as it happens, with the time."""

    def opens(self, scene: Scene, number: int, total: int) -> None:
        """Print the scene's head."""
        self.say(f"=== scene {number} of {total}: {scene.name}: {scene.title}")
        self.say(f"    promise: {scene.promise}")

    def say(self, line: str) -> None:
        """Print a line."""
        print(f"{dt.datetime.now(dt.UTC):%H:%M:%S}Z  {line}", flush=True)

    def pictures(self) -> None:
        """Lines need no picture."""

    def close(self) -> None:
        """Nothing to close."""
