"""Who hears what (R49): both parties at every change of status and before protection ends, the mediator at assignment
and answers. What is not in the table is nobody's mail: a refusal is an answer, and what the next event of the same
moment tells in full is not told twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from schemas.dispute import events as dispute
from schemas.mediation import events as mediation
from schemas.notification.shapes import RecipientRole
from schemas.order import events as order
from schemas.refund import events as refund
from schemas.visibility import may_see
from schemas.wire import Event

Who = Literal["buyer", "seller", "mediator", "other side", "payee", "party", "reminded"]
"""`other side`: the party that did not do it. `payee`: whom the money belongs to that is late, or came back.
`party`: to whom, or from whom, money moved. `reminded`: whose time runs out."""


@dataclass(frozen=True, slots=True)
class Told:
    to: tuple[Who, ...]
    only_if: Callable[[Any], bool] = lambda event: True


def _arrived_or_lost(event: order.TrackingReported | dispute.ReturnReported) -> bool:
    """Of a completed order nobody needs to hear any more that the parcel has come, and of one whose protection ends
    earlier for it the next letter tells."""
    told_in_full = isinstance(event, order.TrackingReported) and event.shortens_protection
    return event.tracking_status != "in_transit" and event.status != "completed" and not told_in_full


def _ran_out(event: order.LinesReleased) -> bool:
    """Every other cause is an act that has a letter of its own, and of gifts nobody is paid anything (R76)."""
    return event.cause == "protection_ended" and event.release_minor > 0


def _not_terms_alone(event: dispute.DisputeModified) -> bool:
    """New terms follow as an offer."""
    return bool(event.reason or event.description or event.evidence)


def _not_confirmed_before(event: dispute.DisputeClosed) -> bool:
    """`dispute.cancelled` is the written confirmation."""
    return event.outcome != "cancelled"


def _had_a_mediator(event: mediation.MediationOverdue) -> bool:
    return event.mediator_id is not None


BOTH: tuple[Who, ...] = ("buyer", "seller")
ALL: tuple[Who, ...] = ("buyer", "seller", "mediator")

TOLD: dict[type[Event], Told] = {
    order.Placed: Told(BOTH),
    order.OrderPaid: Told(BOTH),
    order.Cancelled: Told(BOTH),
    order.LinesCancelled: Told(BOTH),
    order.LinesRefunded: Told(BOTH),
    order.ProcessingExtended: Told(("buyer",)),
    order.OrderReminded: Told(("reminded",)),
    order.Shipped: Told(BOTH),
    order.TrackingCorrected: Told(("buyer",)),
    order.TrackingReported: Told(BOTH, only_if=_arrived_or_lost),
    order.ExtensionRequested: Told(("seller",)),
    order.ProtectionExtended: Told(BOTH),
    order.ProtectionShortened: Told(BOTH),
    order.ProtectionEnding: Told(BOTH),
    order.ReceiptConfirmed: Told(BOTH),
    order.LinesReleased: Told(BOTH, only_if=_ran_out),
    order.Completed: Told(BOTH),
    dispute.DisputeOpened: Told(BOTH),
    dispute.OpenRefused: Told(("buyer",)),
    dispute.DisputeModified: Told(("seller",), only_if=_not_terms_alone),
    dispute.EvidenceAdded: Told(("other side",)),
    dispute.MessageSent: Told(("other side",)),
    dispute.OfferMade: Told(BOTH),
    dispute.DisputeEscalated: Told(BOTH),
    dispute.ReturnAwaited: Told(BOTH),
    dispute.ReturnShipped: Told(BOTH),
    dispute.ReturnTrackingCorrected: Told(("seller",)),
    dispute.ReturnReported: Told(BOTH, only_if=_arrived_or_lost),
    dispute.ReturnContested: Told(("buyer",)),
    dispute.ReplacementAwaited: Told(BOTH),
    dispute.ReplacementShipped: Told(BOTH),
    dispute.DisputeDecided: Told(BOTH),
    dispute.DisputeAppealed: Told(BOTH),
    dispute.AppealWaived: Told(BOTH),
    dispute.DisputeCancelled: Told(BOTH),
    dispute.DisputeClosed: Told(BOTH, only_if=_not_confirmed_before),
    dispute.DisputeReminded: Told(("reminded",)),
    mediation.MediationAssigned: Told(("mediator",)),
    mediation.QuestionAsked: Told(BOTH),
    mediation.MediationReminded: Told(("reminded",)),
    mediation.QuestionAnswered: Told(ALL),
    mediation.AnswerMissed: Told(ALL),
    mediation.MediationOfferMade: Told(ALL),
    mediation.MediationOfferDeclined: Told(("buyer", "mediator")),
    mediation.MediationOfferAccepted: Told(("mediator",)),
    mediation.MediationDecided: Told(BOTH),
    mediation.MediationDefaulted: Told(("mediator",)),
    mediation.MediationCancelled: Told(("mediator",)),
    mediation.MediationOverdue: Told(("mediator",), only_if=_had_a_mediator),
    refund.RefundSettled: Told(("buyer",)),
    refund.PaidOut: Told(("seller",)),
    refund.ChargedBack: Told(("seller",)),
    refund.RefundOverdue: Told(("payee",)),
    refund.RefundReversed: Told(("payee",)),
    refund.MovedInPart: Told(("party",)),
    refund.MovedTooMuch: Told(("party",)),
    refund.MoneyHeld: Told(BOTH),
    refund.MoneyUnheld: Told(BOTH),
}

SUBSCRIPTIONS: tuple[type[Event], ...] = (*TOLD, dispute.DisputeRequested)
"""Of a request only the reason is kept; `dispute.opened` tells it."""

PAYEES: dict[str, RecipientRole | None] = {"refund": "buyer", "payout": "seller", "chargeback": None}
"""A late chargeback, or one that came back, is the platform's own trouble."""


def recipients(event: Event) -> list[RecipientRole]:
    """Whom to tell; whatever the table says, nobody of what is not for his eyes (R42)."""
    told = TOLD.get(type(event))
    if told is None or not told.only_if(event):
        return []
    roles = [_role(who, event) for who in told.to]
    return [role for role in roles if role is not None and may_see(event, role)]


def _role(who: Who, event: Any) -> RecipientRole | None:
    match who:
        case "other side":
            return "seller" if event.by == "buyer" else "buyer"
        case "payee":
            return PAYEES[event.leg]
        case "party":
            return "buyer" if event.leg == "refund" else "seller"
        case "reminded":
            return "buyer" if event.to == "buyer" else "seller"
        case _:
            return who
