"""Messages between the parties, and how many of them (R24, R72)."""

from datetime import timedelta

import pytest

from schemas.instants import rfc3339
from tests.domain.dispute_desk import BUYER, SELLER, desk_in, rejection
from tests.domain.table import NOON, outcome

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("either_version")


@pytest.mark.rule("R72")
def test_who_has_written_enough_for_a_day_waits_and_the_other_party_does_not() -> None:
    desk = desk_in("negotiating", messages_per_day=3)
    for _ in range(3):
        assert outcome(desk.write()) == "message_sent"
        desk.wait(hours=1)
    refused = rejection(desk.write())
    assert (refused.code, refused.details) == ("limit_exceeded", {"available_at": rfc3339(NOON + DAY)})
    assert outcome(desk.write(SELLER)) == "message_sent"

    desk.now = NOON + DAY - timedelta(milliseconds=1)
    assert outcome(desk.write(BUYER)) == "limit_exceeded"
    desk.now = NOON + DAY
    for _ in range(3):
        assert outcome(desk.write(BUYER)) == "message_sent"
    assert rejection(desk.write(BUYER)).details == {"available_at": rfc3339(NOON + 2 * DAY)}
    assert desk.refolded() == desk.state


@pytest.mark.rule("R72")
def test_a_policy_without_a_limit_counts_nothing() -> None:
    desk = desk_in("negotiating", messages_per_day=None)
    for _ in range(150):
        (sent,) = desk.write()
        assert sent.number_of_day is None  # type: ignore[attr-defined]


@pytest.mark.rule("R72")
def test_each_dispute_has_its_own_count_and_it_goes_on_through_a_return() -> None:
    desk = desk_in("awaiting_return", messages_per_day=1)
    assert outcome(desk.write()) == "message_sent"
    desk.ship_return()
    assert outcome(desk.write()) == "limit_exceeded"
    assert outcome(desk.write(SELLER)) == "message_sent"
