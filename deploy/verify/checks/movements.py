"""The movements of one order's money, from the order service's word to the bank: asked for, requested, done.

Each is known by its payment key, `<settlement_id>/<leg>`; what came back is moved anew as `<settlement_id>/<leg>~2`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deploy.verify.observation import Observation

LEGS = {
    "order.cancelled.v1": {"refund": "refund_minor"},
    "order.lines_cancelled.v1": {"refund": "refund_minor"},
    "order.refunded.v1": {"refund": "refund_minor"},
    "order.lines_released.v1": {"payout": "release_minor"},
    "order.settled.v1": {"refund": "refund_minor", "payout": "payout_minor", "chargeback": "chargeback_minor"},
}
"""What the order service wants moved: leg -> field of its amount."""
RELEASED = "order.lines_released.v1"
"""It tells what is the seller's; of that he is paid what is not commission (R69)."""
DONE = {
    "refund.settled.v1": "refund_minor",
    "refund.paid_out.v1": "amount_minor",
    "refund.charged_back.v1": "amount_minor",
}
IN_PART = "refund.moved_in_part.v1"
"""Less moved than was to be moved; the rest moves under the next key (R62)."""
TOO_MUCH, EXCESS_BACK = "refund.moved_too_much.v1", "refund.excess_returned.v1"
"""More did, and what came back of that: nobody's due, and no part of the movement."""
CAPTURED = "refund.captured.v1"
REVIEW, REVERSED = "refund.review_needed.v1", "refund.reversed.v1"


class Moving(NamedTuple):
    """A movement at one of its steps, as it was told first."""

    minor: int
    told: Observation
    again: list[tuple[int, Observation]]
    """What was told of it once more, and over how much."""


class Movements(NamedTuple):
    """By payment key, as far as each has come."""

    asked: Mapping[str, Moving]
    requested: Mapping[str, Moving]
    done: Mapping[str, Moving]
    in_part: Mapping[str, Moving]
    """What moved of those that ended with less; another one took their place, over the rest."""
    excess: Mapping[str, Moving]
    """What moved beyond them."""
    excess_returned: Counter[str]
    """Key -> what came back of that."""
    returned: Counter[str]
    """Leg -> what came back of it, by what is booked (R62)."""
    owed: Counter[str]
    """Leg -> what of that is still to be moved anew, and nobody is called for yet."""
    replaced: Mapping[str, str]
    """Key -> the one that took its place: of a movement that moved in part, or came back before it was said to be
    done."""

    @property
    def under_way(self) -> Mapping[str, Moving]:
        return {key: one for key, one in self.requested.items() if key not in self.done and key not in self.replaced}

    def end_of(self, key: str) -> Moving | None:
        """As it was done; None: not yet."""
        return self.done.get(list(self.turns_of(key))[-1])

    def turns_of(self, key: str) -> Iterator[str]:
        """It, and what took its place, one after another."""
        yield key
        while key in self.replaced:
            yield (key := self.replaced[key])

    @property
    def left(self) -> Counter[str]:
        """Leg -> what moved of what was to be moved, in all."""
        return totals_by_leg(self.done) + totals_by_leg(self.in_part)

    @staticmethod
    def of(order: Sequence[Observation], refund: Sequence[Observation]) -> "Movements":
        asked = [
            (f"{one.data['settlement_id']}/{leg}", one, _wanted(one, field))
            for one in order
            for leg, field in LEGS.get(one.type, {}).items()
        ]
        asked += _late(order, refund)
        legs: defaultdict[str, _Leg] = defaultdict(_Leg)
        for one in refund:
            if "settlement_id" in one.data and one.data.get("leg") not in (None, "capture"):
                legs[key_of(one)].follow(key_of(one), one)
        returned, owed = Counter[str](), Counter[str]()
        for key, leg in legs.items():
            returned[leg_of(key)] += leg.returned
            owed[leg_of(key)] += leg.owed
        return Movements(
            _by_key(asked),
            _by_key(step for leg in legs.values() for step in leg.requested),
            _by_key(step for leg in legs.values() for step in leg.done),
            _by_key(step for leg in legs.values() for step in leg.in_part),
            _by_key(step for leg in legs.values() for step in leg.excess),
            sum((leg.excess_returned for leg in legs.values()), Counter()),
            returned,
            owed,
            {key: then for leg in legs.values() for key, then in leg.replaced.items()},
        )


def _wanted(one: Observation, field: str) -> int:
    minor: int = one.data[field]
    return minor - one.data.get("commission_minor", 0) if one.type == RELEASED else minor


def _late(order: Sequence[Observation], refund: Sequence[Observation]) -> Iterator[tuple[str, Observation, int]]:
    """What was captured for an order that was cancelled unpaid goes back, and no other word asks for it (R61)."""
    for one in refund:
        if one.type == CAPTURED:
            for cancelled in order:
                if cancelled.type == "order.cancelled.v1" and cancelled.data["cause"] == "not_paid":
                    yield f"{cancelled.data['settlement_id']}/refund", cancelled, one.data["amount_minor"]


@dataclass
class _Leg:
    """What the refund service said of one, in its order: under which key it moved what."""

    key: str = ""
    owed: int = 0
    """What came back since it was last called or done."""
    returned: int = 0
    generation: int = 1
    requested: list[tuple[str, Observation, int]] = field(default_factory=list)
    done: list[tuple[str, Observation, int]] = field(default_factory=list)
    in_part: list[tuple[str, Observation, int]] = field(default_factory=list)
    excess: list[tuple[str, Observation, int]] = field(default_factory=list)
    excess_returned: Counter[str] = field(default_factory=Counter)
    replaced: dict[str, str] = field(default_factory=dict)

    def follow(self, key: str, one: Observation) -> None:
        called = one.data.get("payment_key") if one.type == "refund.submitted.v1" else None
        if one.type == "refund.requested.v1":
            self.requested.append((key, one, one.data["amount_minor"]))
        elif one.type == REVERSED:
            self.owed += one.data["amount_minor"]
            self.returned += one.data["amount_minor"]
        elif one.type == IN_PART:
            self._moves_in_part(key, one)
        elif one.type == TOO_MUCH:
            self.excess.append((one.data["payment_key"], one, one.data["amount_minor"]))
        elif one.type == EXCESS_BACK:
            self.excess_returned[one.data["payment_key"]] += one.data["amount_minor"]
        elif called is not None and called not in (key, self.key):
            self._takes_the_place(key, str(called), one, one.data["amount_minor"])
        elif one.type in DONE:
            if self.owed:  # by hand: nobody was called
                self._begins(f"{key}~{self.generation + 1}", one, self.owed)
            self.done.append((self.key or key, one, one.data[DONE[one.type]]))

    def _moves_in_part(self, key: str, one: Observation) -> None:
        """What is left of what was to be moved is what the next is about, whatever is said of it."""
        wanted = self.owed or (self.requested[-1][2] if self.requested else 0)
        name, moved = str(one.data["payment_key"]), one.data["amount_minor"]
        if name != (self.key or key):  # by hand: nobody was called
            self._takes_the_place(key, name, one, wanted)
        self.in_part.append((name, one, moved))
        self.replaced[name] = f"{key}~{self.generation + 1}"
        self._begins(self.replaced[name], one, wanted - moved)

    def _takes_the_place(self, key: str, name: str, one: Observation, minor: int) -> None:
        before = self.key or key
        if name.startswith(f"{key}~") and not any(done == before for done, _, _ in self.done):
            self.replaced[before] = name
        self._begins(name, one, minor)

    def _begins(self, key: str, one: Observation, minor: int) -> None:
        self.requested.append((key, one, self.owed or minor))
        self.key, self.owed, self.generation = key, 0, self.generation + 1


def _by_key(steps: Iterable[tuple[str, Observation, int]]) -> dict[str, Moving]:
    moving: dict[str, Moving] = {}
    for key, told, minor in steps:
        if key in moving:
            moving[key].again.append((minor, told))
        elif minor:
            moving[key] = Moving(minor, told, [])
    return moving


def key_of(one: Observation) -> str:
    return f"{one.data['settlement_id']}/{one.data['leg']}"


def totals_by_leg(movements: Mapping[str, Moving]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for key, moving in movements.items():
        totals[leg_of(key)] += moving.minor
    return totals


def leg_of(payment_key: str) -> str:
    return payment_key.rpartition("/")[2].partition("~")[0]
