"""The lines of an order and where their money is.

Captured = unshipped + held + disputed + released + refunded, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from schemas.common import PieceNumbers
from schemas.order.shapes import SettledLine

ID_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Unshipped:
    """In escrow, and still with the seller (R66)."""


@dataclass(frozen=True, slots=True)
class Held:
    """In escrow, sent to the buyer and protected."""


@dataclass(frozen=True, slots=True)
class Released:
    """The seller's, but it may still be disputed (R7)."""

    settlement_id: str
    """Of the release: of what is left of that one the platform's part is reckoned (R69)."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """Frozen; `quantity` bounds the claim (R18b). What was released stays released meanwhile."""

    dispute_id: str
    quantity: int
    was: Held | Released


@dataclass(frozen=True, slots=True)
class Final:
    """Final: of what was left of it this is refunded, the rest is the seller's, and there is no dispute any more."""

    refund_minor: int


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces of a line that stand alike: all of it, unless some were disputed (R65) or shipped (R66) by themselves."""

    line_id: str
    ordered: int
    """Pieces of the whole line."""
    price_minor: int
    """For all of them."""
    pieces: range
    """Those that this is about, by their numbers from 1."""
    standing: Unshipped | Held | Released | Disputed | Final = Unshipped()
    given_back_minor: int = 0
    """Refunded while it was in escrow, without a quarrel (R64)."""

    @property
    def key(self) -> tuple[str, int]:
        """Which of an order's lines it is: no two begin with the same piece."""
        return self.line_id, self.pieces.start

    @property
    def numbers(self) -> PieceNumbers | None:
        """As events name its pieces: not at all where they are all of the line."""
        if self.quantity == self.ordered:
            return None
        return PieceNumbers(first=self.pieces.start, last=self.pieces.stop - 1)

    @property
    def quantity(self) -> int:
        return len(self.pieces)

    @property
    def amount_minor(self) -> int:
        """What was paid for these pieces. The first i of a line are worth `price * i / ordered`, rounded down (R65)."""
        return self._first(self.pieces.stop - 1) - self._first(self.pieces.start - 1)

    def _first(self, pieces: int) -> int:
        return self.price_minor * pieces // self.ordered

    @property
    def left_minor(self) -> int:
        """What there is to be released, disputed or refunded."""
        return self.amount_minor - self.given_back_minor


def whole(line_id: str, quantity: int, amount_minor: int) -> Line:
    return Line(line_id, quantity, amount_minor, range(1, quantity + 1))


@dataclass(frozen=True, slots=True)
class Money:
    unshipped_minor: int = 0
    held_minor: int = 0
    disputed_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0


def money_of(lines: Sequence[Line]) -> Money:
    unshipped = held = disputed = released = refunded = 0
    for line in lines:
        refunded += line.given_back_minor
        match line.standing:
            case Unshipped():
                unshipped += line.left_minor
            case Held():
                held += line.left_minor
            case Disputed(was=Held()):
                disputed += line.left_minor
            case Released() | Disputed():
                released += line.left_minor
            case Final(refund_minor=refund_minor):
                refunded += refund_minor
                released += line.left_minor - refund_minor
    return Money(unshipped, held, disputed, released, refunded)


def claimable_minor(line: Line, quantity: int) -> int:
    """The most that can be claimed for `quantity` pieces of a line, rounded up (R18b), of what is left of it (R64)."""
    return min(-(-line.amount_minor * quantity // line.quantity), line.left_minor)


def split(lines: Sequence[tuple[Line, Disputed]], refund_minor: int) -> list[SettledLine]:
    """Shares a refund over disputed lines in proportion to what was claimed for each, rounded down, the odd cents one
    each to the first lines (R18b) that claim anything.

    No share passes its line's claim: while a cent is left over, every share was rounded down below its claim, but for
    the shares of what claims nothing (R76).
    """
    claims = [claimable_minor(line, disputed.quantity) for line, disputed in lines]
    claimed_minor = sum(claims)
    refund_minor = min(refund_minor, claimed_minor)  # whatever a dispute says: never more than was claimed
    shares = [refund_minor * claim // max(claimed_minor, 1) for claim in claims]  # gifts alone claim nothing (R76)
    odd_cents = refund_minor - sum(shares)
    first = [number for number, claim in enumerate(claims) if claim][:odd_cents]
    shares = [share + (number in first) for number, share in enumerate(shares)]
    return [
        SettledLine(
            line_id=line.line_id, refund_minor=share, release_minor=line.left_minor - share, pieces=line.numbers
        )
        for (line, _), share in zip(lines, shares, strict=True)
    ]


def commission_minor(release_minor: int, commission_bps: int) -> int:
    """The platform's part of a release, rounded down (R69)."""
    return release_minor * commission_bps // 10_000


def settlement_id(order_id: str, number: int) -> str:
    """The name of an order's n-th movement of money. It is part of the payment key, so unlike any other order's.

    `<order_id>:<n>` ends in the only colon that matters, so no two orders share one; a digest has no colon at all.
    """
    name = f"{order_id}:{number}"
    return name if len(name) <= ID_CHARACTERS_MAX else blake2b(name.encode(), digest_size=32).hexdigest()
