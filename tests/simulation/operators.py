"""Operators at their queue: what they make of money that waits for them."""

from collections.abc import Mapping, Set
from random import Random
from typing import Any

from schemas.payments.events import PaymentSettled
from tests.simulation.actors import Wish
from tests.simulation.known import Order

LOOKED_AT = ("settled_again", "wrong_reference", "unasked", "bank_chargeback", "moved_too_much")
"""Why money is in review that is nowhere to be moved again."""


def work_off(
    chance: Random, order: Order, moved: Mapping[str, PaymentSettled], returned: Set[str], *, by_hand: bool
) -> list[Wish]:
    """What an operator makes of his queue: he tries again, or, having asked the provider himself, says how it was.

    `moved`: payment key -> what the provider has moved. `returned`: the keys of what came back. `by_hand`: what it has
    not moved it never will, so he may pay otherwise, perhaps only a part.
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
        really = moved.get(key) if key not in returned else None
        reference = really.provider_reference if really else f"by hand {key}" if by_hand else None
        if reference is not None and chance.random() < 0.5:
            paid: dict[str, Any] = {"outcome": "settled", "provider_reference": reference, "note": "Seen to it myself."}
            if really:
                paid["amount_minor"] = really.amount_minor
            elif order.owed.get((settlement_id, leg), 0) % 3 == 2:  # nothing is drawn for it
                paid["amount_minor"] = order.owed[settlement_id, leg] // 2
            wishes.append(Wish("refund.resolve", "operator", "olga", data | paid | {"although_unknown": True}))
        else:
            wishes.append(Wish("refund.retry", "operator", "olga", data))
    return wishes
