"""Giving up a claim: what it costs depends on when (R28–R33)."""

from collections import defaultdict
from datetime import datetime

from schemas.common import FrozenLine
from schemas.dispute.commands import CancelDispute
from schemas.dispute.events import DisputeCancelled, DisputeClosed
from schemas.instants import rfc3339
from schemas.policy import Policy
from services.dispute.case import AwaitingReplacement, AwaitingReturn, Case, ClosedDispute, Open
from services.dispute.policy import may_reopen
from services.dispute.settling import closed
from services.dispute.states import Disputes
from shared.kernel.decider import Output
from shared.rules.refusals import consequence_changed, paid_to_the_seller

Cancellable = Open | AwaitingReturn | AwaitingReplacement


def cancel(
    known: Disputes, dispute: Cancellable, command: CancelDispute, time: datetime, policy: Policy
) -> list[Output]:
    """Done only if it means what the buyer thinks it means (R29)."""
    case = dispute.case
    match command.expect, _reopenable(known, case, time, policy):
        case "reopenable", False:
            lost = {"lost_at": rfc3339(case.disputable_until)} if time > case.disputable_until else {}
            return [paid_to_the_seller(**lost)]
        case "released_to_seller", True:
            return [consequence_changed("Cancelling now leaves you free to dispute again.", "reopenable")]
        case _:
            return cancelled(known, case, time, policy)


def cancelled(known: Disputes, case: Case, time: datetime, policy: Policy) -> list[Output]:
    """In time the lines are what they were before; else they are the seller's (R30, R31)."""
    if not _reopenable(known, case, time, policy):
        given_up = DisputeCancelled(dispute_id=case.dispute_id, reopenable_until=None)
        return [given_up, closed(case, "cancelled", refund_minor=0)]
    return [
        DisputeCancelled(dispute_id=case.dispute_id, reopenable_until=case.disputable_until),
        DisputeClosed(dispute_id=case.dispute_id, outcome="cancelled", refund_minor=0, release_minor=0, final=False),
    ]


def _reopenable(known: Disputes, case: Case, time: datetime, policy: Policy) -> bool:
    """Earlier disputes over these pieces were all cancelled in time, else there would not be this one."""
    cancelled_before = sum(isinstance(other, ClosedDispute) and _meet(case, other.case) for other in known.values())
    return time <= case.disputable_until and not case.decided and may_reopen(cancelled_before, policy)


def _meet(one: Case, other: Case) -> bool:
    """There is a piece of a line that both are about (R65)."""
    ours: defaultdict[str, list[FrozenLine]] = defaultdict(list)
    for line in one.lines:
        ours[line.line_id].append(line)
    return any(_overlap(mine, line) for line in other.lines for mine in ours[line.line_id])


def _overlap(one: FrozenLine, other: FrozenLine) -> bool:
    if one.pieces is None or other.pieces is None:
        return True
    return one.pieces.first <= other.pieces.last and other.pieces.first <= one.pieces.last
