"""How an answer looks in a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.rules.money import in_major_units

WIDTH = 200
"""Where nobody looks: lines are not broken for a program."""
Row = Sequence[Any]


def as_json(told: Any) -> None:
    print(json.dumps(told, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Row], title: str | None = None, empty: str = "nothing") -> None:
    """`empty`: what is said instead, if there is none."""
    shown = Table(title=title and plain(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(plain(cell) for cell in row))
    console = _console()
    if shown.row_count:
        console.print(shown)
    else:
        console.print(plain(f"{title}: {empty}" if title else empty))
    console.print()


def line(text: str) -> None:
    _console().print(plain(text))


def plain(said: Any) -> Text:
    """Whatever somebody wrote: it moves no cursor, hides nothing and turns nothing around."""
    text = "" if said is None else str(said)
    return Text(
        "".join(one if one.isprintable() else " " if one.isspace() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


def at(instant: str | None) -> str:
    """To the second, in UTC, as answers have them."""
    return "" if instant is None else f"{instant[:10]} {instant[11:19]}Z"


def money(minor: int, currency: str) -> str:
    return f"{in_major_units(minor, currency)} {currency}"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, emoji=False)
