"""What is not told again and again: a flood of messages, and a completion that changed nothing (R79)."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.notification.events import NotificationSent, Queued, WebhookQueued
from services.notification.domain import DECIDER, TOPIC_ONLY
from services.notification.letters import letter
from tests.domain.notification_samples import SAMPLES, placed
from tests.domain.table import Desk
from tests.domain.test_notification_webhooks import BOTH_CHANNELS

SPAN = timedelta(minutes=15)
FROM_BUYER, FROM_SELLER = SAMPLES["dispute.message_sent[buyer]"], SAMPLES["dispute.message_sent[seller]"]


def letters(said: list[Any]) -> list[Queued]:
    return [one for one in said if isinstance(one, Queued)]


def goes_out(queued: Queued) -> datetime:
    return queued.not_before or queued.event_at


def placed_desk(decider: Any = DECIDER) -> Desk:
    desk = Desk(decider)
    desk.hear(placed())
    desk.wait(hours=1)
    return desk


@pytest.mark.rule("R79")
def test_of_a_flood_of_messages_there_is_a_letter_at_once_and_one_later_that_says_there_are_more() -> None:
    desk = placed_desk()
    began = desk.now
    said = []
    for _ in range(100):
        said += letters(desk.hear(FROM_BUYER))
        desk.wait(seconds=8)
    assert [goes_out(one) - began for one in said] == [timedelta(), SPAN]
    first, later = map(letter, said)
    assert "> Hello" in first.text
    assert "Hello" not in later.text
    assert "There are new messages from the buyer" in later.text
    assert [pending.next_attempt_at - began for pending in list(desk.state.pending.values())[-2:]] == [
        timedelta(),
        SPAN,
    ]


@pytest.mark.rule("R79")
def test_each_side_and_each_dispute_has_letters_of_its_own() -> None:
    desk = placed_desk()
    for message in (FROM_BUYER, FROM_SELLER, FROM_BUYER.model_copy(update={"dispute_id": "d2"})):
        [at_once] = letters(desk.hear(message))
        assert at_once.not_before is None


@pytest.mark.rule("R79")
def test_webhooks_and_the_topic_tell_every_message() -> None:
    hooked, topical = placed_desk(BOTH_CHANNELS), placed_desk(TOPIC_ONLY)
    for _ in range(5):
        assert [type(one) for one in hooked.hear(FROM_BUYER) if not isinstance(one, Queued)] == [WebhookQueued]
        assert [type(one) for one in topical.hear(FROM_BUYER)] == [NotificationSent]


@pytest.mark.rule("R79")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["buyer", "seller"]), st.integers(0, 1_200)), max_size=40))
def test_letters_about_messages_are_a_quarter_of_an_hour_apart_and_no_message_stays_untold(
    story: list[tuple[str, int]],
) -> None:
    desk = placed_desk()
    for by in ("buyer", "seller"):
        desk_sent: list[datetime] = []
        written: list[Queued] = []
        for writer, seconds in story:
            said = letters(desk.hear(FROM_BUYER if writer == "buyer" else FROM_SELLER))
            if writer == by:
                desk_sent.append(desk.now)
                written += said
            desk.wait(seconds=seconds)
        at = [goes_out(one) for one in written]
        assert all(later - earlier >= SPAN for earlier, later in pairwise(at))
        assert all(any(sent <= one <= sent + SPAN for one in at) for sent in desk_sent)
        desk.wait(hours=1)
    assert desk.refolded() == desk.state


@pytest.mark.rule("R79")
@pytest.mark.parametrize("decider", [DECIDER, TOPIC_ONLY], ids=["letters", "topic"])
def test_an_order_is_completed_once_unless_its_totals_have_changed(decider: Any) -> None:
    desk = placed_desk(decider)
    paid, refunded = SAMPLES["order.completed[paid]"], SAMPLES["order.completed[refunded]"]
    told = []
    for event in (paid, paid, refunded, refunded, paid):
        said = desk.hear(event)
        told.append({one.recipient.role for one in said if isinstance(one, Queued)})
        told[-1] |= {one.role for sent in said if isinstance(sent, NotificationSent) for one in sent.recipients}
        desk.wait(days=1)
    assert told == [{"buyer", "seller"}, set(), {"buyer", "seller"}, set(), {"buyer", "seller"}]
    assert desk.refolded() == desk.state
