"""The books: which money an event moves from which account to which (R22).

Every entry is one pair of postings that sum to zero. An order's books always say: captured = in escrow + refunded +
paid out + commission + excess, paid out less what was charged back; what came back of a movement is an entry the other
way, and what moved too much is the platform's own advance (R62). A refund of released money may leave escrow before the
charge-back fills it (no leg waits for another), so a balance may be negative for a while.
"""

from datetime import datetime
from typing import NamedTuple

from schemas.refund.events import (
    ChargedBack,
    ExcessReturned,
    MovedInPart,
    MovedTooMuch,
    PaidOut,
    RefundCaptured,
    RefundReversed,
    RefundSettled,
)
from services.refund.movement import CommissionReturned, CommissionTaken

COMMISSION = "platform:commission"
EXCESS = "platform:excess"
"""What the platform has advanced, below 0, or owes: what moved beyond what was to be moved (R62)."""


class Entry(NamedTuple):
    """`amount_minor` leaves one account and arrives at the other."""

    currency: str
    from_account: str
    to_account: str
    amount_minor: int


class BookedEntry(NamedTuple):
    """An entry as the ledger keeps it, under the id of the event it follows from: it cannot be booked twice."""

    id: str
    order_id: str
    event_type: str
    booked_at: datetime
    entry: Entry


def entry(event: object) -> Entry | None:
    """None: moves no money."""
    match event:
        case RefundCaptured():
            return Entry(event.currency, f"buyer:{event.buyer_id}", f"escrow:{event.order_id}", event.amount_minor)
        case RefundSettled():
            return Entry(event.currency, f"escrow:{event.order_id}", f"buyer:{event.buyer_id}", event.refund_minor)
        case PaidOut():
            return Entry(event.currency, f"escrow:{event.order_id}", f"seller:{event.seller_id}", event.amount_minor)
        case ChargedBack():
            return Entry(event.currency, f"seller:{event.seller_id}", f"escrow:{event.order_id}", event.amount_minor)
        case CommissionTaken():
            return Entry(event.currency, f"escrow:{event.order_id}", COMMISSION, event.amount_minor)
        case CommissionReturned():
            return Entry(event.currency, COMMISSION, f"escrow:{event.order_id}", event.amount_minor)
        case MovedInPart() | RefundReversed() | MovedTooMuch() | ExcessReturned():
            party = f"{'buyer' if event.leg == 'refund' else 'seller'}:{event.party_id}"
            ours = f"escrow:{event.order_id}" if isinstance(event, MovedInPart | RefundReversed) else EXCESS
            to_us = (event.leg == "chargeback") != isinstance(event, RefundReversed | ExcessReturned)
            from_, to = (party, ours) if to_us else (ours, party)
            return Entry(event.currency, from_, to, event.amount_minor)
    return None
