"""The demo as lines, for pipes, logs and tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from demo.live import Camera
from demo.stage import Scene


class PlainScreen:
    """Prints each thing as it happens, with the time."""

    def __init__(self, camera: Camera, shoot: Callable[[], None]) -> None:
        self._camera = camera
        self._shoot = shoot

    def opens(self, scene: Scene, number: int, total: int) -> None:
        """Print the scene's head."""
        self._camera.opens(scene, number, total)
        self.say(f"=== scene {number} of {total}: {scene.name}: {scene.title}")
        self.say(f"    promise: {scene.promise}")

    def say(self, line: str) -> None:
        """Print a line."""
        self._camera.say(line)
        print(f"{dt.datetime.now(dt.UTC):%H:%M:%S}Z  {line}", flush=True)

    def pictures(self) -> None:
        """Take a picture, if one is wanted."""
        self._shoot()

    def close(self) -> None:
        """Nothing to give back."""
