"""A word in time to him whose silence would cost him (R68)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, assert_never

from schemas.dispute.events import (
    DisputeClosed,
    DisputeEscalated,
    DisputeReminded,
    ReplacementAwaited,
    ReturnAwaited,
)
from schemas.dispute.shapes import DisputeDeadline, Side
from services.dispute.case import (
    AwaitingReplacement,
    AwaitingReturn,
    AwaitingSeller,
    ClosedDispute,
    DecidedDispute,
    DisputeReminderLapsed,
    InMediation,
    Negotiating,
    Opened,
    ReplacementUnderway,
    ReturnUnderway,
)
from services.dispute.settling import amount_minor
from services.dispute.states import Disputes, deadlines
from shared.kernel.decider import Deadline, Output
from shared.rules.reminding import shown_to

Clock = Literal[
    "seller_first_response", "return_ship", "return_confirm", "replacement_ship", "replacement_confirm", "appeal_window"
]


class Consequence(NamedTuple):
    """What the end of a clock brings about; the money of it, if it decides about money."""

    otherwise: Literal["settled", "return_awaited", "replacement_awaited", "escalated"]
    refund_minor: int | None
    release_minor: int | None


def end(disputes: Disputes, dispute: Opened) -> Deadline[DisputeDeadline]:
    """What happens first if nobody does anything. It need not be by the clock he is reminded of: a claim that was
    raised gives the seller new days to answer, and it still escalates when it would have (R23)."""
    mine = [one for one in deadlines(disputes) if one.subject == dispute.case.dispute_id and one.name != "reminder"]
    return min(mine, key=lambda one: one.due_at)  # of one instant the first, as they are listed


def remind(dispute: Opened, ends_at: datetime, otherwise: Sequence[Output]) -> list[Output]:
    """`otherwise`: what the end would say now; nothing, if it is over and only waits for its turn."""
    clock, whose_loss = _clock(dispute)
    if not otherwise or not whose_loss:
        return [DisputeReminderLapsed(dispute_id=dispute.case.dispute_id)]
    consequence = _consequence(dispute, otherwise[-1])
    return [
        DisputeReminded(
            dispute_id=dispute.case.dispute_id,
            clock=clock,
            to=side,
            ends_at=ends_at,
            **consequence._asdict(),
            visible_to=shown_to(side),
        )
        for side in whose_loss
    ]


def _clock(dispute: Opened) -> tuple[Clock, list[Side]]:
    """Which runs, and whose silence would cost him."""
    match dispute:
        case AwaitingSeller():
            return "seller_first_response", ["seller"]
        case AwaitingReturn():
            return "return_ship", ["buyer"]
        case ReturnUnderway():
            return "return_confirm", ["seller"]
        case AwaitingReplacement():
            return "replacement_ship", ["seller"]
        case ReplacementUnderway():
            return "replacement_confirm", ["buyer"]
        case DecidedDispute():
            return "appeal_window", _losers(dispute)
        case Negotiating() | InMediation() | ClosedDispute():
            raise AssertionError("nobody is reminded of anything here")
        case _:
            assert_never(dispute)


def _losers(dispute: DecidedDispute) -> list[Side]:
    """Who did not get what he wanted, and has not said that he accepts it."""
    lost: dict[Side, bool] = {
        "buyer": dispute.terms != dispute.case.claim.terms,
        "seller": dispute.terms.refund_minor > 0,
    }
    return [side for side, has_lost in lost.items() if has_lost and side not in dispute.case.waived]


def _consequence(dispute: Opened, said: Output) -> Consequence:
    """The last word of an end says what becomes of the money."""
    match said:
        case DisputeClosed():
            return Consequence("settled", said.refund_minor, said.release_minor)
        case ReturnAwaited():
            return Consequence("return_awaited", *_split(dispute, said.refund_minor))
        case ReplacementAwaited():
            return Consequence("replacement_awaited", *_split(dispute, said.refund_minor))
        case _:
            assert isinstance(said, DisputeEscalated), said
            return Consequence("escalated", None, None)


def _split(dispute: Opened, refund_minor: int) -> tuple[int, int]:
    return refund_minor, amount_minor(dispute.case) - refund_minor
