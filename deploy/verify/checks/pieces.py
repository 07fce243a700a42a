"""The lines of one order by the order service's events, piece by piece where these come apart (R65, R66).

Told by the rule book, not by the service's code: what a piece is worth, and of which pieces money is given back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class Part:
    """Neighbouring pieces of a line that stand alike."""

    line_id: str
    first: int
    last: int
    left: int
    """Of their worth, in minor units: less what was given back (R64)."""
    shipped: bool = False
    """They were in a parcel."""
    dispute_id: str = ""
    """Which froze them."""
    settlement_id: str = ""
    """By which they were released, and may still be disputed."""
    final: bool = False
    """They can never be disputed again."""

    @property
    def pieces(self) -> int:
        return self.last - self.first + 1

    @property
    def is_unshipped(self) -> bool:
        return not self.shipped and not self.final

    @property
    def is_free(self) -> bool:
        return self.shipped and not self.final and not self.dispute_id

    @property
    def is_held(self) -> bool:
        return self.is_free and not self.settlement_id


@dataclass
class Lines:
    parts: list[Part] = field(default_factory=list)
    """In the order's sequence."""
    sold: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line -> (pieces, minor units)."""

    @staticmethod
    def of(placed: Mapping[str, Any]) -> "Lines":
        sold = {line["line_id"]: (line.get("quantity", 1), line["amount_minor"]) for line in placed["lines"]}
        return Lines([Part(name, 1, quantity, minor) for name, (quantity, minor) in sold.items()], sold)

    @property
    def left(self) -> int:
        return sum(part.left for part in self.parts)

    def named(self, line: Mapping[str, Any]) -> list[Part]:
        """What an event means: pieces of a line, or all of it. From here on they stand for themselves."""
        name, pieces = line["line_id"], line.get("pieces")
        if name in self.sold and pieces:
            self._cut(name, pieces["first"])
            self._cut(name, pieces["last"] + 1)
        first, last = (pieces["first"], pieces["last"]) if pieces else (1, self.sold.get(name, (0, 0))[0])
        return [part for part in self._of(name) if first <= part.first and part.last <= last]

    def frozen(self, name: str, dispute_id: str) -> list[Part]:
        return [part for part in self._of(name) if part.dispute_id == dispute_id]

    def escrow(self, name: str) -> list[Part]:
        """The highest-numbered first: of these money is given back first."""
        return [part for part in reversed(list(self._of(name))) if part.is_held or part.is_unshipped]

    def unshipped(self) -> list[Part]:
        return [part for part in self.parts if part.is_unshipped]

    def owner(self, name: str) -> str:
        """A dispute that froze something of it."""
        return next((part.dispute_id for part in self._of(name) if part.dispute_id), "nothing")

    def _of(self, name: str) -> Iterator[Part]:
        return (part for part in self.parts if part.line_id == name)

    def _cut(self, name: str, at: int) -> None:
        """Begins a part with this piece. What was given back of it was so of the highest-numbered."""
        for number, part in enumerate(self.parts):
            if part.line_id == name and part.first < at <= part.last:
                given_back = self._worth(name, part.first, part.last) - part.left
                high = max(self._worth(name, at, part.last) - given_back, 0)
                both = replace(part, last=at - 1, left=part.left - high), replace(part, first=at, left=high)
                self.parts[number : number + 1] = both
                return

    def _worth(self, name: str, first: int, last: int) -> int:
        """Piece by piece `floor(a·i/n) − floor(a·(i−1)/n)`, summed."""
        quantity, minor = self.sold[name]
        return minor * last // quantity - minor * (first - 1) // quantity


def name_of(line: Mapping[str, Any]) -> str:
    """`cups`, or `cups (pieces 1 to 3)`."""
    pieces = line.get("pieces")
    return f"{line['line_id']} (pieces {pieces['first']} to {pieces['last']})" if pieces else str(line["line_id"])
