"""What becomes of the money when a quarrel ends."""

from datetime import datetime

from schemas.common import Terms
from schemas.dispute.events import DisputeClosed, ReplacementAwaited, ReturnAwaited
from schemas.dispute.shapes import Outcome
from schemas.policy import Policy
from services.dispute.case import Case
from shared.kernel.decider import Output
from shared.rules.calendar import after
from shared.rules.reminding import remind_at


def closed(case: Case, outcome: Outcome, refund_minor: int) -> DisputeClosed:
    """For good: what is not refunded is the seller's."""
    return DisputeClosed(
        dispute_id=case.dispute_id,
        outcome=outcome,
        refund_minor=refund_minor,
        release_minor=amount_minor(case) - refund_minor,
        final=True,
    )


def amount_minor(case: Case) -> int:
    """All that is frozen is settled, be it more than the claim (R18b, R65)."""
    return sum(line.amount_minor for line in case.lines)


def settle(case: Case, terms: Terms, basis: Outcome, time: datetime, policy: Policy) -> list[Output]:
    """What was agreed, granted or decided: first the goods, if any are to move, then the money (R51, C10)."""
    match terms.kind:
        case "return_and_refund":
            ship_by = after(time, policy.return_ship, policy)
            return [
                ReturnAwaited(
                    dispute_id=case.dispute_id,
                    basis=basis,
                    refund_minor=terms.refund_minor,
                    return_ship_by=ship_by,
                    remind_at=remind_at(time, ship_by, policy),
                )
            ]
        case "replacement":
            ship_by = after(time, policy.replacement_ship, policy)
            return [
                ReplacementAwaited(
                    dispute_id=case.dispute_id,
                    basis=basis,
                    refund_minor=terms.refund_minor,
                    replacement_ship_by=ship_by,
                    remind_at=remind_at(time, ship_by, policy),
                )
            ]
        case "refund" | "none":
            return [closed(case, basis, terms.refund_minor)]
