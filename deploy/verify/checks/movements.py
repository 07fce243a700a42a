"""The movements of one order's money, from the order service's word to the bank: asked for, requested, done.

Each is known by its payment key, `<settlement_id>/<leg>`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
REVIEW = "refund.review_needed.v1"


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

    @staticmethod
    def of(order: Sequence[Observation], refund: Sequence[Observation]) -> "Movements":
        asked = [(one, leg, field) for one in order for leg, field in LEGS.get(one.type, {}).items()]
        requested = [one for one in refund if one.type == "refund.requested.v1"]
        return Movements(
            _by_key((f"{one.data['settlement_id']}/{leg}", one, _wanted(one, field)) for one, leg, field in asked),
            _by_key((key_of(one), one, one.data["amount_minor"]) for one in requested),
            _by_key((key_of(one), one, one.data[DONE[one.type]]) for one in refund if one.type in DONE),
        )


def _wanted(one: Observation, field: str) -> int:
    minor: int = one.data[field]
    return minor - one.data.get("commission_minor", 0) if one.type == RELEASED else minor


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
        totals[key.rpartition("/")[2]] += moving.minor
    return totals
