"""The demo keeps its promises, says so when it does not, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo import show
from demo.recorder import BEGIN, END, Recorder
from demo.scenes import SCENES
from demo.stage import Scene, SceneFailed, Stage
from demo.world import World
from devcluster import build, control
from devcluster.wait import until
from tests.harness.need import give_up

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 600


@pytest.fixture
def programs() -> None:
    """The control plane's programs: built by `make test`, not within a test's time."""
    if build.missing():
        give_up("the control plane is not built: python -m devcluster build")


def command(folder: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "demo", "--plain", "--folder", str(folder), *flags]


@pytest.mark.apiserver
@pytest.mark.timeout(DEMO_SECONDS + 60)
@pytest.mark.usefixtures("programs")
def test_every_scene_ends_as_promised(tmp_path: Path) -> None:
    folder, svg, session = tmp_path / "plane", tmp_path / "demo.svg", tmp_path / "session.txt"

    done = subprocess.run(
        command(folder, "--svg", str(svg), "--record", str(session)),
        cwd=ROOT, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    for scene in SCENES:
        assert f"=== {scene.name}: as promised" in done.stdout
    assert "export KUBECONFIG=" in done.stdout
    assert "BudgetExhausted" in svg.read_text()
    assert "url(http" not in svg.read_text(), "the picture needs fonts from elsewhere"
    assert "$ kubectl get khc,krem -n kiro-system" in session.read_text()
    assert not control.is_running(folder)
    assert not psutil.pid_exists(operator_pid(folder))


@pytest.mark.apiserver
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("programs")
def test_an_interrupted_demo_ends_what_it_started(tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    with subprocess.Popen(
        command(folder, "--scene", "crash-loop"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert next((line for line in running.stdout if "The operator is started" in line), None)
        pid = operator_pid(folder)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130

    assert not control.is_running(folder)
    until(lambda: not psutil.pid_exists(pid), "the operator to end", 20)


def operator_pid(folder: Path) -> int:
    log = folder / "logs" / "kiro-operator.log"
    records = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return int(next(record["pid"] for record in records if record["message"] == "listening"))


def test_an_unknown_scene_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--scene", "no-such"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "crash-loop" in done.stderr


class Told:
    """A screen that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def opens(self, scene: Scene, number: int, total: int) -> None:
        self.lines.append(f"{number}/{total} {scene.name}")

    def say(self, line: str) -> None:
        self.lines.append(line)

    def pictures(self) -> None:
        self.lines.append("picture")

    def close(self) -> None:
        self.lines.append("closed")


class Dying(World):
    """An operator that ends as soon as anybody waits for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Recorder(None))
        self._lives: Iterator[bool] = iter([True])

    @property
    def operator_runs(self) -> bool:
        return next(self._lives, False)


def scene(name: str, problem: str = "") -> Scene:
    def play(_stage: Stage) -> None:
        if problem:
            raise SceneFailed(problem)

    return Scene(name, name, "it works", play)


def test_a_broken_promise_is_told_and_ends_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = (scene("first"), scene("second", "no pod came"), scene("third"))

    outcomes = show.play(World(tmp_path, Recorder(None)), Told(), scenes)

    assert [outcome.problem for outcome in outcomes] == ["", "no pod came"]
    assert not show.tell(outcomes, scenes)
    printed = capsys.readouterr()
    assert "second: no pod came" in printed.err
    assert "not played" in printed.out


def test_a_demo_without_broken_promises_is_good(tmp_path: Path) -> None:
    scenes = (scene("first"), scene("second"))
    assert show.tell(show.play(World(tmp_path, Recorder(None)), Told(), scenes), scenes)


def test_an_operator_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    stage = Stage(Dying(tmp_path), Told())
    with pytest.raises(SceneFailed, match="the operator ended while the demo waited for a miracle"):
        stage.expect("a miracle", lambda: False, 30)


def test_what_must_not_happen_is_a_broken_promise(tmp_path: Path) -> None:
    stage = Stage(World(tmp_path, Recorder(None)), Told())
    stage.never("an eviction", list, 0.1)
    with pytest.raises(SceneFailed, match="not to happen: an eviction: \\['kiro-1'\\]"):
        stage.never("an eviction", lambda: ["kiro-1"], 30)
    with pytest.raises(SceneFailed, match="a pod is left"):
        stage.hold([], "a pod is left")


def test_a_wait_ends_with_what_was_waited_for(tmp_path: Path) -> None:
    stage = Stage(World(tmp_path, Recorder(None)), Told())
    with pytest.raises(SceneFailed, match="for Healthy=True"):
        stage.expect("Healthy=True", lambda: False, 0.1)


def test_the_session_goes_into_its_place(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    recorder = Recorder(readme)
    recorder.comment("one pod crashes")
    recorder.comment("nobody looks")
    recorder.add(("get", "khc", "-o", "a b"), "NAME  \nkiro\n")

    recorder.save()

    expected = "```console\n# one pod crashes\n# nobody looks\n\n$ kubectl get khc -o 'a b'\nNAME\nkiro\n```"
    assert readme.read_text() == f"before\n{BEGIN}\n{expected}\n{END}\nafter\n"


def test_a_readme_without_the_place_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(ValueError, match="no place for a session"):
        Recorder(readme)
