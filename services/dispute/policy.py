"""By which numbers a dispute is run, where a rule is more than one window."""

from datetime import datetime

from schemas.policy import Policy
from shared.rules.calendar import after


def escalatable_from(opened_at: datetime, policy: Policy) -> datetime | None:
    """When the buyer may escalate though the seller has not rejected; None: never by hand (C1)."""
    return None if policy.manual_escalation is None else after(opened_at, policy.manual_escalation, policy)


def appeal_until(decided_at: datetime, appealed: bool, policy: Policy) -> datetime | None:
    """How long the money stays put after a decision; None: it is final at once (C4, C5)."""
    return None if appealed or policy.appeals == 0 else after(decided_at, policy.appeal_window, policy)


def may_reopen(cancelled_before: int, policy: Policy) -> bool:
    """Whether lines may be disputed again after so many cancelled disputes and one more (R30)."""
    return policy.max_reopens is None or cancelled_before < policy.max_reopens
