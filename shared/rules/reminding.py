"""When somebody is reminded that his time runs out (R68)."""

from datetime import datetime, timedelta

from schemas.instants import from_ms, to_ms
from schemas.policy import Policy
from schemas.wire import Role

LEFT_TO_ACT = timedelta(hours=48)


def remind_at(start: datetime, end: datetime, policy: Policy) -> datetime | None:
    """At three quarters of a clock, and where it is longer than 48 hours so long before its end at the latest; None:
    the policy reminds nobody."""
    if not policy.reminders:
        return None
    began, lasts = to_ms(start), to_ms(end) - to_ms(start)
    three_quarters, latest = from_ms(began + lasts * 3 // 4), end - LEFT_TO_ACT
    return min(three_quarters, latest) if latest > start else three_quarters


def shown_to(reminded: Role) -> tuple[Role, ...]:
    """That his time runs out is nothing for the other side."""
    return reminded, "mediator", "operator"
