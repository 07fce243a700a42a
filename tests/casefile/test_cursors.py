"""A cursor leads to the row behind the last one, and nothing else passes for one."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest

from services.casefile.tables.cursors import CHARS_MAX, cursor_at, opened
from shared.runtime.memory import START

NEVER = datetime.max.replace(tzinfo=UTC)
"""What a list has for an instant that does not come: its last digits count, or the page begins again where it did."""


def closed(*said: object) -> str:
    return urlsafe_b64encode(json.dumps(said).encode()).decode()


@pytest.mark.parametrize("at", [START, START.replace(microsecond=1), NEVER])
def test_a_cursor_says_exactly_where_it_was(at: datetime) -> None:
    assert opened(cursor_at(at, "order-1", "d1"), 2) == (at, ["order-1", "d1"])


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "a" * (CHARS_MAX + 1), closed(), closed("x", "a"), closed(START.isoformat()), closed(1, "a")),
        *(closed(START.isoformat(), *names) for names in (["a", "b"], [1], [None], ["a\0"], ["\ud800"])),
        closed("2026-03-02T09:00:00", "a"),
        urlsafe_b64encode(b"[" * 20_000).decode(),
        "ü",
    ],
)
def test_what_no_list_gave_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError):
        opened(cursor, 1)
