"""The disputed lifecycle: eleven commands of people, and what must have been said before the next one is given.

An order is placed and shipped; the buyer claims a part of it, the seller will not hear of it, a mediator asks both and
decides, and both waive their appeal. Then the buyer has his refund and the seller the rest.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

POLICY = "aliexpress"
"""Its windows are days: every deadline is armed, and none passes."""
ENDED = frozenset({"refund.settled.v1", "refund.paid_out.v1"})
DISPUTE = {"dispute_id": "d1"}


class Step(NamedTuple):
    """A command by somebody in this role. `until`: what must be said besides its answer before the next one."""

    command: str
    role: str
    data: Mapping[str, Any]
    until: frozenset[str] = frozenset()


def total_minor(number: int) -> int:
    """What the buyer of this lifecycle paid."""
    return 100_00 + number % 97


def refund_minor(number: int) -> int:
    """What the mediator decides that he gets back."""
    return total_minor(number) * 2 // 5


def person(number: int, role: str) -> str:
    """Who has this role in it; who mediates is not known before."""
    return {"platform": "checkout", "buyer": f"buyer-{number}", "seller": f"seller-{number % 97}"}[role]


def steps(order_id: str, number: int) -> Sequence[Step]:
    """Of one lifecycle."""
    buyer, seller = (
        {"id": (id_ := person(number, role)), "email": f"{id_}@example.com"} for role in ("buyer", "seller")
    )
    total, refund = total_minor(number), refund_minor(number)
    order = {
        "buyer": buyer,
        "seller": seller,
        "currency": "EUR",
        "lines": [{"line_id": "1", "title": "Desk lamp, brass", "quantity": 1, "amount_minor": total}],
        "payment": {"payment_id": f"payment-{order_id}", "amount_minor": total},
        "policy": POLICY,
    }
    claim = {
        "received": True,
        "reason": "damaged",
        "description": "The glass is cracked from side to side.",
        "terms": {"kind": "refund", "refund_minor": total * 3 // 5},
    }
    decision = {
        "refund_minor": refund,
        "return_required": False,
        "rationale": "The crack was there before; the lamp gives light.",
        "rules": ["shared-risk"],
        "evidence_ids": [],
    }
    question = {"question_id": "q1", "to": "both", "question": "How was it packed?"}
    return (
        Step("order.place", "platform", order, frozenset({"order.paid.v1"})),
        Step("order.ship", "seller", {"carrier": "Cainiao", "tracking_number": f"LP{number:012d}CN"}),
        Step("dispute.open", "buyer", DISPUTE | claim, frozenset({"dispute.opened.v1"})),
        Step("dispute.reject", "seller", DISPUTE | {"message": "It was whole when it left us."}),
        Step("dispute.escalate", "buyer", DISPUTE, frozenset({"mediation.assigned.v1"})),
        Step("mediation.ask", "mediator", DISPUTE | question),
        Step("mediation.answer", "buyer", DISPUTE | {"question_id": "q1", "text": "In paper."}),
        Step("mediation.answer", "seller", DISPUTE | {"question_id": "q1", "text": "In foam, as always."}),
        Step("mediation.decide", "mediator", DISPUTE | decision, frozenset({"dispute.decided.v1"})),
        Step("dispute.waive_appeal", "buyer", DISPUTE),
        Step("dispute.waive_appeal", "seller", DISPUTE, ENDED),
    )
