"""A letter's way: queued, tried, tried again, taken or given up; and nothing about it that should not be known."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.notification.events import NotificationFailed, NotificationSent, Postponed, Queued
from schemas.wire import OrderMessage, PrivateEvent
from services.notification.domain import DECIDER, Attempted
from services.notification.policy import ATTEMPTS_MAX, RETRY_AFTER
from services.notification.states import Known, event_key
from services.notification.subscriptions import SUBSCRIPTIONS
from tests.domain.notification_samples import ORDER, SAMPLES, placed
from tests.domain.table import Desk, cells, outcome

ATTEMPTS = {
    "taken": {},
    "unreachable": {"problem": "unreachable"},
    "busy_4xx": {"problem": "refused", "smtp_status": 451},
    "refused_5xx": {"problem": "refused", "smtp_status": 550, "final": True},
    "bad_address": {"problem": "bad_address", "final": True},
    "unknown": {"problem": "no_address"},
    "erased": {"problem": "no_address", "final": True},
}
OUTCOMES = """
                   taken   unreachable  busy_4xx  refused_5xx  bad_address  unknown  erased
first_attempt      sent    -            -         failed       failed       -        failed
third_attempt      sent    -            -         failed       failed       -        failed
fourth_attempt     sent    -            -         failed       failed       failed   failed
attempt_before_last  sent  -            -         failed       failed       failed   failed
last_attempt       sent    failed       failed    failed       failed       failed   failed
ended_before       -       -            -         -            -            -        -
"""


class Queue(Desk):
    """An order with one letter in the queue."""

    def __init__(self) -> None:
        super().__init__(DECIDER)
        self.hear(placed())
        for letter in list(self.state.pending):
            self.hear(Attempted(letter, 1))
        self.wait(hours=1)
        [self.letter] = self.hear(SAMPLES["dispute.message_sent[buyer]"])
        self.attempts = 0

    def attempt(self, name: str, number: int | None = None) -> list[object]:
        self.attempts += 1
        assert isinstance(self.letter, Queued)
        return list(self.hear(Attempted(self.letter.delivery_id, number or self.attempts, **ATTEMPTS[name])))  # type: ignore[arg-type]


def brought_to(state: str) -> Queue:
    queue = Queue()
    before = {
        "third_attempt": 2,
        "fourth_attempt": 3,
        "attempt_before_last": ATTEMPTS_MAX - 2,
        "last_attempt": ATTEMPTS_MAX - 1,
    }
    for _ in range(before.get(state, 0)):
        queue.attempt("unreachable")
    if state == "ended_before":
        queue.attempt("taken")
    return queue


@pytest.mark.rule("R49")
@pytest.mark.parametrize(("state", "attempt", "expected"), list(cells(OUTCOMES)))
def test_what_an_attempt_leads_to(state: str, attempt: str, expected: str) -> None:
    queue = brought_to(state)
    said = queue.attempt(attempt)
    assert outcome(said) == expected  # type: ignore[arg-type]
    assert queue.refolded() == queue.state
    assert bool(queue.state.pending) == (expected == "-" and state != "ended_before")


@pytest.mark.rule("R49")
def test_a_letter_is_tried_less_and_less_often_and_then_given_up_visibly() -> None:
    queue = Queue()
    for number, wait in enumerate(RETRY_AFTER, start=1):
        [postponed] = queue.attempt("busy_4xx")
        assert isinstance(postponed, Postponed)
        assert postponed.next_attempt_at == queue.now + wait
        [pending] = queue.state.pending.values()
        assert (pending.attempts, pending.next_attempt_at) == (number, postponed.next_attempt_at)
        queue.now = postponed.next_attempt_at
    [failed] = queue.attempt("busy_4xx")
    assert isinstance(failed, NotificationFailed)
    assert (failed.attempts, failed.problem, failed.smtp_status) == (ATTEMPTS_MAX, "refused", 451)
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)
    assert timedelta(days=4) < sum(RETRY_AFTER, timedelta()) < timedelta(days=5)


def test_a_stale_attempt_says_nothing() -> None:
    queue = Queue()
    queue.attempt("unreachable")
    assert queue.attempt("taken", number=1) == []
    assert queue.attempt("taken", number=3) == []
    assert outcome(queue.attempt("taken", number=2)) == "sent"  # type: ignore[arg-type]


def test_an_attempt_for_an_order_nobody_knows_says_nothing() -> None:
    assert Desk(DECIDER).hear(Attempted("x", 1)) == []


def test_an_order_is_introduced_once() -> None:
    desk = Desk(DECIDER)
    assert len(desk.hear(placed())) == 3
    desk.wait(hours=1)
    assert desk.hear(placed()) == []


def test_what_is_published_says_who_was_told_what_but_no_address() -> None:
    queue = Queue()
    [sent] = queue.attempt("taken")
    assert isinstance(sent, NotificationSent)
    assert isinstance(queue.letter, Queued)
    assert sent.model_dump(include={"event_type", "template", "recipients", "visible_to"}) == {
        "event_type": "dispute.message_sent.v1",
        "template": "dispute.message_sent",
        "recipients": (
            {
                "role": "seller",
                "id": "sam",
                "delivery_id": queue.letter.delivery_id,
                "channel": "email",
                "attempts": 1,
            },
        ),
        "visible_to": ("seller", "operator"),
    }
    assert all("@" not in one.model_dump_json() for one in queue.history if not isinstance(one, PrivateEvent))


def test_the_facts_of_a_letter_hold_no_address() -> None:
    desk = Desk(DECIDER)
    for event in SAMPLES.values():
        if isinstance(event, SUBSCRIPTIONS):
            desk.hear(event)
    queued = [one for one in desk.history if isinstance(one, Queued)]
    assert len(queued) > 100
    assert all("@" not in str(one.facts) for one in queued)


attempts = st.tuples(st.sampled_from(sorted(ATTEMPTS)), st.integers(0, 5), st.integers(1, ATTEMPTS_MAX + 1))
events = st.sampled_from([name for name, event in SAMPLES.items() if isinstance(event, SUBSCRIPTIONS)])


@pytest.mark.rule("R49")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.one_of(events, attempts), st.integers(0, 3_600))))
def test_whatever_comes_each_letter_ends_at_most_once_and_none_is_lost(
    story: list[tuple[str | tuple[str, int, int], int]],
) -> None:
    desk = Desk(DECIDER)
    for step, seconds in story:
        if isinstance(step, str):
            desk.hear(SAMPLES[step])
        else:
            name, which, number = step
            known = list(desk.state.pending) if isinstance(desk.state, Known) else []
            delivery_id = known[which % len(known)] if known else "none"
            desk.hear(Attempted(delivery_id, number, **ATTEMPTS[name]))  # type: ignore[arg-type]
        desk.wait(seconds=seconds)
        assert desk.refolded() == desk.state
    queued = [one.delivery_id for one in desk.history if isinstance(one, Queued)]
    told = [one for sent in desk.history if isinstance(sent, NotificationSent) for one in sent.recipients]
    failed = [one.delivery_id for one in desk.history if isinstance(one, NotificationFailed)]
    pending, taken = ([*desk.state.pending], [*desk.state.taken]) if isinstance(desk.state, Known) else ([], [])
    if isinstance(desk.state, Known):
        awaited = {event_key(one.queued) for one in desk.state.pending.values() if one.is_awaited}
        assert {one.event for one in desk.state.taken.values()} <= awaited, "nothing is kept back for nothing"
    assert all(one.channel == "email" for one in told)
    assert sorted(queued) == sorted([*(one.delivery_id for one in told), *failed, *pending, *taken])
    assert all(isinstance(one, OrderMessage) and one.order_id == ORDER for one in desk.history)
    assert not list(DECIDER.deadlines(desk.state))
