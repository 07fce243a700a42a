"""Lines that come apart: a dispute (R65) or a parcel (R66) takes some pieces of a line out, and what stands alike again
is one again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from schemas.common import FrozenLine
from schemas.order.shapes import CancelledLine, ReleasedLine, SettledLine, ShippedLine
from services.order.lines import Disputed, Held, Line, Released, Unshipped

PARTS_MAX = 1_000
"""Of all lines of an order: an event that names them all must fit into a record."""


def key(part: CancelledLine | FrozenLine | ReleasedLine | SettledLine | ShippedLine) -> tuple[str, int]:
    """Which of an order's lines an event means."""
    return part.line_id, part.pieces.first if part.pieces else 1


def cut(line: Line, quantity: int) -> tuple[Line, Line]:
    """Its lowest-numbered pieces, so many, and the others. What was given back of it was so of the highest-numbered."""
    begins = line.pieces.start + quantity
    low = replace(line, pieces=range(line.pieces.start, begins), given_back_minor=0)
    high = replace(line, pieces=range(begins, line.pieces.stop), given_back_minor=0)
    of_high = min(line.given_back_minor, high.amount_minor)
    return replace(low, given_back_minor=line.given_back_minor - of_high), replace(high, given_back_minor=of_high)


def lowest(lines: Iterable[Line], quantity: int) -> Iterator[tuple[Line, int]]:
    """The first so many pieces of them: each line that has some of these, and how many."""
    for line in lines:
        if quantity > 0:
            yield line, min(quantity, line.quantity)
            quantity -= line.quantity


def shipped(lines: Iterable[Line], parcel: Sequence[ShippedLine] | None) -> tuple[Line, ...]:
    """What is in the parcel is held from now on; None: all that was with the seller."""
    by_key = None if parcel is None else {key(part): part.quantity for part in parcel}
    after: list[Line] = []
    for line in lines:
        quantity = line.quantity if by_key is None else by_key.get(line.key, 0)
        if isinstance(line.standing, Unshipped) and quantity:
            sent, rest = cut(line, quantity)
            after += [replace(sent, standing=Held()), *([rest] if rest.quantity else [])]
        else:
            after.append(line)
    return joined(after)


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
    """What this dispute held is what it was before (R30)."""
    return joined(
        replace(line, standing=line.standing.was)
        if isinstance(line.standing, Disputed) and line.standing.dispute_id == dispute_id
        else line
        for line in lines
    )


def joined(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Neighbouring pieces of a line that stand alike are one."""
    after: list[Line] = []
    for line in lines:
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
    """So much of what of these lines is in escrow, the highest-numbered pieces first (R64)."""
    open_ = dict(amounts)
    after = []
    for line in reversed(lines):
        may = isinstance(line.standing, Unshipped | Held)
        minor = min(open_.get(line.line_id, 0), line.left_minor) if may else 0
        open_[line.line_id] = open_.get(line.line_id, 0) - minor
        after.append(replace(line, given_back_minor=line.given_back_minor + minor))
    return tuple(reversed(after))
