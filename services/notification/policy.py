"""By which numbers (R49)."""

from datetime import timedelta

BETWEEN_LETTERS_ABOUT_MESSAGES = timedelta(minutes=15)
"""To one recipient about one dispute (R79)."""
RETRY_AFTER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=1),
    timedelta(days=1),
)
"""After the first, second … failed attempt; after the last there is no other. Four days and three hours in all: whoever
blocks us over a weekend has been spoken to by then, and mail servers try for as long (RFC 5321, 4.5.4.1)."""
ATTEMPTS_MAX = len(RETRY_AFTER) + 1
"""Before it is given up; an operator can begin anew (R80)."""
LOOKED_UP_MAX = 4
"""Attempts to find out where somebody is written to of whom nobody has said so yet, within twelve and a half minutes:
his order may have overtaken what the platform says of him (R74)."""
