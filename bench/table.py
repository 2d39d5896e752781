"""The figures as a table on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, notes

WORDS = {True: "[green]met[/green]", False: "[red]not met[/red]", None: ""}


def number(value: float) -> str:
    """As many digits as say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def target(figure: Figure) -> str:
    """The target in words."""
    return "" if figure.bound is None else f"≤ {number(figure.bound)} {figure.unit}".rstrip()


def show(figures: Sequence[Figure], title: str) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in ("target", "measured", "p50", "p90", "p99", "max", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in figures:
        told = figure.spread
        series = [number(each) for each in (told.p50, told.p90, told.p99, told.max)] if told else [""] * 4
        table.add_row(
            figure.name,
            target(figure),
            f"{number(figure.value)} {figure.unit}".rstrip(),
            *series,
            str(told.samples) if told else "",
            WORDS[figure.met],
        )
    console = Console(width=None if Console().is_terminal else 170)
    console.print(table)
    for note in notes(figures):
        console.print(f"  {note}", highlight=False, style="dim")
