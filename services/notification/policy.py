"""By which numbers (R49)."""

from datetime import timedelta

RETRY_AFTER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=6),
    timedelta(hours=12),
)
"""After the first, second … failed attempt; after the last there is no other. A day and three hours in all."""
ATTEMPTS_MAX = len(RETRY_AFTER) + 1
