"""The demo as a live view; and the picture of its best moment."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from demo import picture, view
from demo.stage import Scene
from demo.world import World
from devcluster.errors import DevclusterError

LOOK_SECONDS = 0.5
LOOKS_A_MEASUREMENT = 10
STOP_SECONDS = 10.0
FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts from elsewhere: a picture in a README must need nothing but itself."""
READ_ERRORS = (DevclusterError, OSError, http.client.HTTPException, AttributeError, KeyError)
"""The world is not there yet, or not any more: the last picture stays."""


class Camera:
    """Looks at the cluster and knows what is being told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cpu: dict[str, int] = {}
        self._picture = picture.Picture()
        self._lines: deque[str] = deque(maxlen=view.LINES)
        self._head = ("The control plane boots", "everything here is real but the pods' containers")

    def opens(self, scene: Scene, number: int, total: int) -> None:
        """A scene begins."""
        self._head = (f"Scene {number} of {total}: {scene.title}", scene.promise)

    def say(self, line: str) -> None:
        """A line of the story."""
        self._lines.append(line)

    def look(self, *, measure: bool) -> None:
        """Read everything anew; the metrics only now and then, for they change every 15 s."""
        if measure:
            with contextlib.suppress(*READ_ERRORS):
                self._cpu = self._world.cluster.cpu()
        with contextlib.suppress(*READ_ERRORS):
            self._picture = picture.take(self._world.cluster, self._cpu)

    def view(self) -> RenderableType:
        """What there is to see."""
        title, promise = self._head
        return view.draw(
            view.Head(title, promise, self._world.operator_runs), self._picture, tuple(self._lines)
        )

    def shoot(self, file: Path) -> None:
        """Write what there is to see as an SVG."""
        self.look(measure=True)
        console = Console(record=True, width=view.WIDTH, height=view.HEIGHT, file=io.StringIO())
        console.print(self.view(), height=view.HEIGHT)
        file.parent.mkdir(parents=True, exist_ok=True)
        svg = FONT_FACES.sub("", console.export_svg(title="python -m demo", unique_id="demo"))
        file.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


class LiveScreen:
    """Shows the camera's view in the terminal, on a thread of its own."""

    def __init__(self, camera: Camera, shoot: Callable[[], None]) -> None:
        self._camera = camera
        self._shoot = shoot
        self._ended = threading.Event()
        self._live = Live(get_renderable=camera.view, screen=True, auto_refresh=False, transient=True)
        self._live.start()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def opens(self, scene: Scene, number: int, total: int) -> None:
        """Change the header."""
        self._camera.opens(scene, number, total)

    def say(self, line: str) -> None:
        """Add a line to the story."""
        self._camera.say(line)

    def pictures(self) -> None:
        """Take a picture, if one is wanted."""
        self._shoot()

    def close(self) -> None:
        """Give the terminal back."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join(STOP_SECONDS)
            self._live.stop()

    def _run(self) -> None:
        looks = 0
        while not self._ended.wait(LOOK_SECONDS):
            self._camera.look(measure=looks % LOOKS_A_MEASUREMENT == 0)
            self._live.refresh()
            looks += 1
