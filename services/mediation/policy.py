"""By which numbers a round is run: its clocks and what silence costs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.common import Terms
from schemas.dispute.shapes import Side
from schemas.policy import Policy
from shared.rules.calendar import after

QUESTIONS_MAX = 100
"""Questions of one case; each holds a deadline."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the disputed money: the rest of it goes to the seller."""

    refund_minor: int
    return_required: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A ruling nobody made: what silence, or a round that ran out, brings."""

    against: Side
    cause: Literal["buyer_silent", "seller_silent", "mediation_max"]
    ruling: Ruling
    effect: Literal["decided", "cancelled"] = "decided"


SELLER_WINS = Ruling(refund_minor=0, return_required=False)


def answer_by(asked_at: datetime, policy: Policy) -> datetime:
    return after(asked_at, policy.answer, policy)


def mediator_due_by(at: datetime, policy: Policy) -> datetime:
    return after(at, policy.mediator_due, policy)


def round_ends_by(opened_at: datetime, policy: Policy) -> datetime:
    return after(opened_at, policy.mediation_max, policy)


def on_claim(claim: Terms, returnable: bool) -> Ruling:
    """The buyer's terms as a ruling; a replacement can only be granted in money."""
    return Ruling(claim.refund_minor, return_required=returnable and claim.kind == "return_and_refund")


def on_silence(silent: Collection[Side], on_claim: Ruling, policy: Policy) -> Judgement | None:
    """Both silent counts as the buyer silent; a silent seller may leave it to the mediator (None) (R40, R41)."""
    if "buyer" in silent:
        effect: Literal["decided", "cancelled"] = "cancelled" if policy.buyer_silence == "cancelled" else "decided"
        return Judgement("buyer", "buyer_silent", SELLER_WINS, effect)
    if policy.mediation_seller_silence == "buyer_wins":
        return Judgement("seller", "seller_silent", on_claim)
    return None


def on_time_out(on_claim: Ruling, policy: Policy) -> Judgement:
    """A first review that took too long (R48)."""
    if policy.mediation_fallback == "buyer_terms":
        return Judgement("seller", "mediation_max", on_claim)
    return Judgement("buyer", "mediation_max", SELLER_WINS)
