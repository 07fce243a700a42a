"""By which numbers the payment provider is called again; the same under every policy (N7)."""

from datetime import timedelta

ATTEMPTS_MAX = 8
"""Calls of the provider, questions too, until a person is called; as many again after each retry by hand."""
BACK_OFF_MIN = timedelta(seconds=1)
BACK_OFF_FACTOR = 6
BACK_OFF_MAX = timedelta(hours=6)
"""A hiccup costs a second, and eight attempts outlast an outage of eight hours."""
ANSWER_WINDOW_MIN = timedelta(seconds=10)
"""So long a silence is not worth a question; with each attempt it grows like the back-off."""


def back_off(attempts_left: int) -> timedelta:
    attempts_made = ATTEMPTS_MAX - attempts_left
    factor: int = BACK_OFF_FACTOR ** (attempts_made - 1)
    return min(BACK_OFF_MIN * factor, BACK_OFF_MAX)
