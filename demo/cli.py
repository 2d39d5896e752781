"""The command line of the demo."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from demo import show
from demo.live import Camera, LiveScreen
from demo.plain import PlainScreen
from demo.recorder import Recorder
from demo.scenes import SCENES
from demo.stage import Scene, Screen
from demo.world import World

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when every scene ended as promised."""
    parser = _parser()
    options = parser.parse_args(arguments)
    scenes = [scene for scene in SCENES if not options.scene or scene.name in options.scene]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        recorder = Recorder(options.record)
    except (OSError, ValueError) as error:
        parser.error(f"--record: {error}")
    try:
        return _run(options, scenes, recorder)
    except KeyboardInterrupt:
        print("interrupted: everything is ended", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    names = [scene.name for scene in SCENES]
    parser.add_argument("--plain", action="store_true", help="lines instead of the live view")
    parser.add_argument("--keep", action="store_true", help="leave cluster and operator up until Ctrl-C")
    parser.add_argument("--scene", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--folder", type=Path, help="folder of the control plane (default: in the user's cache)"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the view's best moment as a picture")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write the kubectl session, or into a .md"
    )
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, scenes: Sequence[Scene], recorder: Recorder) -> int:
    with World(options.folder, recorder) as world:
        screen = _screen(world, options)
        try:
            show.prepare(world, screen)
            outcomes = show.play(world, screen, scenes)
        except show.PLAY_ERRORS as error:
            screen.close()
            print(f"The demo could not begin: {error}", file=sys.stderr)
            return 1
        finally:
            screen.close()
        good = show.tell(outcomes, scenes)
        if good:
            recorder.save()
        else:
            print(f"The operator's log ends with:\n{world.operator_tail()}", file=sys.stderr)
        show.explain(world, kept=options.keep)
        if options.keep:
            with contextlib.suppress(KeyboardInterrupt):
                show.keep(world)
    return 0 if good else 1


def _screen(world: World, options: argparse.Namespace) -> Screen:
    """The live view where somebody sits at a terminal, lines elsewhere."""
    camera = Camera(world)

    def shoot() -> None:
        if options.svg:
            camera.shoot(options.svg)

    if options.plain or not sys.stdout.isatty():
        return PlainScreen(camera, shoot)
    return LiveScreen(camera, shoot)
