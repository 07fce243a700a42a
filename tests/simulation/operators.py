"""Operators at their queue: what they make of money that waits for them."""

from collections.abc import Mapping, Set
from random import Random
from typing import Any

from tests.simulation.actors import Wish
from tests.simulation.known import Order

LOOKED_AT = ("settled_again", "wrong_reference", "unasked", "bank_chargeback")
"""Why money is in review that is nowhere to be moved again."""


def work_off(
    chance: Random, order: Order, moved: Mapping[str, str], returned: Set[str], *, by_hand: bool
) -> list[Wish]:
    """What an operator makes of his queue: he tries again, or, having asked the provider himself, says how it was.

    `moved`: payment key -> the provider's reference of what it has moved. `returned`: the keys of what came back.
    `by_hand`: what it has not moved it never will, so he may pay otherwise.
    """
    wishes = []
    if order.on_hold:
        wishes.append(Wish("refund.unhold", "operator", "olga", {"reason": "All is well."}))
    for (settlement_id, leg), reason in order.in_review.items():
        key = order.generations.get((settlement_id, leg), f"{settlement_id}/{leg}")
        data: dict[str, Any] = {"settlement_id": settlement_id, "leg": leg}
        if reason in LOOKED_AT or (reason == "failed_after_settlement" and key not in returned):
            wishes.append(Wish("refund.acknowledge", "operator", "olga", data | {"note": "The books are right."}))
            continue
        reference = (moved.get(key) if key not in returned else None) or (f"by hand {key}" if by_hand else None)
        if reference is not None and chance.random() < 0.5:
            paid = {"outcome": "settled", "provider_reference": reference, "note": "Seen to it myself."}
            wishes.append(Wish("refund.resolve", "operator", "olga", data | paid | {"although_unknown": True}))
        else:
            wishes.append(Wish("refund.retry", "operator", "olga", data))
    return wishes
