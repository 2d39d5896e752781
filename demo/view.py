"""The live view as rich draws it: 100 columns, 41 lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.picture import ConditionRow, Picture, PodRow

WIDTH, HEIGHT = 100, 41
PODS, REMEDIATIONS, EVENTS, LINES = 10, 4, 6, 5
GOOD, BAD, DIM, BUSY = "green", "red", "dim", "yellow"
STATE_STYLES = {"Succeeded": GOOD, "Failed": BAD, "Denied": BAD, "Expired": DIM}


@dataclass(frozen=True)
class Head:
    """What is being played."""

    title: str
    promise: str
    operator: bool
    """Whether the operator runs."""


def draw(head: Head, picture: Picture, lines: Sequence[str]) -> RenderableType:
    """The whole view."""
    layout = Layout()
    layout.split_column(
        Layout(_head(head, picture.decision), size=5),
        Layout(name="middle", size=PODS + 4),
        Layout(_remediations(picture), size=REMEDIATIONS + 3),
        Layout(_events(picture), size=EVENTS + 2),
        Layout(_story(lines), size=LINES + 2),
    )
    layout["middle"].split_row(Layout(_pods(picture.pods), size=62), Layout(_health(picture)))
    return layout


def _head(head: Head, decision: str) -> Panel:
    runs = Text("operator running", GOOD) if head.operator else Text("no operator", BAD)
    top = Table.grid(expand=True)
    top.add_column(ratio=1, no_wrap=True)
    top.add_column(justify="right", no_wrap=True)
    top.add_row(Text(head.title, "bold"), runs)
    promise, status = _line(f"Promise: {head.promise}", "italic"), _line(f"Status:  {decision}", DIM)
    return Panel(Group(top, promise, status), title="Kiro operator", border_style="blue")


def _pods(pods: Sequence[PodRow]) -> Panel:
    table = _table("NAME", "RDY", "STATUS", "RS", "CPU")
    for pod in pods[:PODS]:
        style = GOOD if pod.ready else (DIM if pod.state == "Terminating" else BAD)
        ready = "1/1" if pod.ready else "0/1"
        table.add_row(_short_name(pod.name), ready, Text(pod.state, style), str(pod.restarts), pod.cpu)
    return Panel(table, title="kubectl get pods", title_align="left", border_style=DIM)


def _health(picture: Picture) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True)
    for condition in picture.conditions:
        table.add_row(condition.kind, _condition(condition))
    for name, value in picture.columns:
        table.add_row(Text(name, DIM), value)
    return Panel(table, title="KiroHealthCheck kiro", title_align="left", border_style=DIM)


def _condition(condition: ConditionRow) -> Text:
    style = {True: GOOD, False: BAD, None: BUSY}[condition.good]
    return Text.assemble((condition.status, style), " ", (condition.reason, DIM))


def _remediations(picture: Picture) -> Panel:
    table = _table("ACTION", "TARGET", "STATE", "AGE", "MESSAGE")
    table.columns[-1].ratio = 1
    for item in picture.remediations[:REMEDIATIONS]:
        state = Text(item.state, STATE_STYLES.get(item.state, BUSY))
        table.add_row(item.method, item.target, state, item.age, item.message)
    return Panel(table, title="kubectl get krem", title_align="left", border_style=DIM)


def _events(picture: Picture) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in picture.events[-EVENTS:]:
        table.add_row(Text(event.time, DIM), Text(event.reason, BAD if event.warning else GOOD), event.note)
    return Panel(table, title="kubectl get events", title_align="left", border_style=DIM)


def _story(lines: Sequence[str]) -> Panel:
    shown = [_line(line, "bold" if line is lines[-1] else "") for line in lines[-LINES:]]
    return Panel(Group(*shown), title="What happens", title_align="left", border_style="blue")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style=DIM)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _short_name(name: str) -> str:
    """A pod's name without its ReplicaSet's hash, so that the table fits."""
    parts = name.split("-")
    return "-".join((*parts[:-2], parts[-1])) if len(parts) > 2 else name
