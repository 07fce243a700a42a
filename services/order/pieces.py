"""Lines that come apart (R65): a dispute takes some pieces of a line out, and what stands alike again is one again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from schemas.common import FrozenLine
from schemas.order.shapes import ReleasedLine, SettledLine
from services.order.lines import Disputed, Held, Line, Released

PARTS_MAX = 1_000
"""Of all lines of an order: an event that names them all must fit into a record."""


def key(part: FrozenLine | ReleasedLine | SettledLine) -> tuple[str, int]:
    """Which of an order's lines an event means."""
    return part.line_id, part.pieces.first if part.pieces else 1


def cut(line: Line, quantity: int) -> tuple[Line, Line]:
    """Its lowest-numbered pieces, so many, and the others. What was given back of it was so of the highest-numbered."""
    begins = line.pieces.start + quantity
    low = replace(line, pieces=range(line.pieces.start, begins), given_back_minor=0)
    high = replace(line, pieces=range(begins, line.pieces.stop), given_back_minor=0)
    of_high = min(line.given_back_minor, high.amount_minor)
    return replace(low, given_back_minor=line.given_back_minor - of_high), replace(high, given_back_minor=of_high)


def lowest(lines: Iterable[Line], quantity: int) -> list[Line]:
    """The first so many pieces of them."""
    taken = []
    for line in lines:
        if quantity > 0:
            taken.append(cut(line, min(quantity, line.quantity))[0])
            quantity -= line.quantity
    return taken


def frozen(lines: Iterable[Line], claimed: Sequence[FrozenLine], dispute_id: str) -> tuple[Line, ...]:
    """The pieces that are named are disputed; the others of their line stay as they are."""
    by_key = {key(part): part for part in claimed}
    after: list[Line] = []
    for line in lines:
        part = by_key.get(line.key)
        match line.standing:
            case Held() | Released() as was if part is not None:
                named = part.pieces.last + 1 - line.pieces.start if part.pieces else line.quantity
                disputed, rest = cut(line, named)
                after.append(replace(disputed, standing=Disputed(dispute_id, part.quantity, was)))
                if rest.quantity:
                    after.append(rest)
            case _:
                after.append(line)
    return tuple(after)


def unfrozen(lines: Iterable[Line], dispute_id: str) -> tuple[Line, ...]:
    """What this dispute held is what it was before (R30), and one with its neighbours that stand alike."""
    after: list[Line] = []
    for line in lines:
        if isinstance(line.standing, Disputed) and line.standing.dispute_id == dispute_id:
            line = replace(line, standing=line.standing.was)
        if after and _are_one(after[-1], line):
            both = range(after[-1].pieces.start, line.pieces.stop)
            line = replace(line, pieces=both, given_back_minor=after.pop().given_back_minor + line.given_back_minor)
        after.append(line)
    return tuple(after)


def _are_one(low: Line, high: Line) -> bool:
    """Not where one could no longer tell of which pieces what was given back was."""
    return (
        (low.line_id, low.pieces.stop) == high.key
        and isinstance(low.standing, Held | Released)
        and low.standing == high.standing
        and (low.given_back_minor == 0 or high.left_minor == 0)
    )


def given_back(lines: Sequence[Line], amounts: Mapping[str, int]) -> tuple[Line, ...]:
    """So much of what is held of these lines, the highest-numbered pieces first (R64)."""
    open_ = dict(amounts)
    after = []
    for line in reversed(lines):
        minor = min(open_.get(line.line_id, 0), line.left_minor) if isinstance(line.standing, Held) else 0
        open_[line.line_id] = open_.get(line.line_id, 0) - minor
        after.append(replace(line, given_back_minor=line.given_back_minor + minor))
    return tuple(reversed(after))
