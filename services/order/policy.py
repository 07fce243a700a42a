"""By which numbers: the instants and limits that an order's policy gives (R4, R4b, R7)."""

from datetime import datetime, timedelta

from schemas.policy import Policy
from shared.rules.calendar import after, before

CLOCK_GRACE = timedelta(minutes=5)
"""So far ahead of ours the clock of a carrier may be (R67)."""


def notice_at(protection_ends_at: datetime, policy: Policy) -> datetime:
    """When both parties are to be told what will happen at the end of protection (R4b)."""
    return before(protection_ends_at, policy.protection_reminder, policy)


def disputable_until(protection_ends_at: datetime, policy: Policy) -> datetime:
    """While receipt is not confirmed (R7)."""
    return after(protection_ends_at, policy.post_expiry_window, policy)


def extension_days_max(last_shipped_at: datetime, protection_ends_at: datetime, policy: Policy) -> int:
    """The most days by which protection may be extended by one request (R4)."""
    latest = after(last_shipped_at, policy.day, policy, times=policy.max_protection_days)
    return sum(
        after(protection_ends_at, policy.day, policy, times=days) <= latest
        for days in range(1, policy.max_extension_days + 1)
    )
