"""Where the marks of a small chart stand. What it shows is beside it in words: it adds nothing but the eye's view."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.casefile.shown.shapes import Ahead, EndShown

LEFT, RIGHT, APART = 22, 618, 22
"""Of the line of time, in its own units; marks never cover each other."""
WIDTH = 400
MARKS_MAX = (RIGHT - LEFT) // APART


@dataclass(frozen=True, slots=True)
class Mark:
    """An event ahead, on the line of time."""

    number: int
    x: int
    is_money: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the money."""

    name: str
    x: float
    width: float


def marks(now: datetime, ahead: Sequence[Ahead]) -> list[Mark]:
    """As far apart as the instants are, as long as each can be told from the next."""
    shown = ahead[:MARKS_MAX]
    whole = max((shown[-1].at - now).total_seconds(), 1) if shown else 1
    found: list[Mark] = []
    for number, one in enumerate(shown, 1):
        there = LEFT + round((one.at - now).total_seconds() / whole * (RIGHT - LEFT))
        least = found[-1].x + APART if found else LEFT
        most = RIGHT - (len(shown) - number) * APART
        found.append(Mark(number, max(least, min(there, most)), bool(one.buyer_minor or one.seller_minor)))
    return found


def split(ends: EndShown) -> list[Share]:
    """Who has how much of the money; nothing where there is none."""
    amounts = {
        "buyer": ends.buyer_minor,
        "seller": ends.seller_minor,
        "commission": ends.commission_minor,
        "held": ends.held_minor,
    }
    whole = sum(max(amount, 0) for amount in amounts.values())
    found: list[Share] = []
    x = 0.0
    for name, amount in amounts.items():
        if amount > 0:
            width = amount / whole * WIDTH
            found.append(Share(name, round(x, 1), round(width, 1)))
            x += width
    return found
