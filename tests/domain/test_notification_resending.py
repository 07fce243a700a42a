"""What was given up goes out again when an operator says so, and only what he asks for (R80)."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.notification.commands import NotificationResend
from schemas.notification.events import (
    Hastened,
    NotificationFailed,
    NotificationResent,
    NotificationSent,
    Postponed,
    Queued,
    WebhookQueued,
)
from schemas.notification.shapes import RecipientRole
from schemas.wire import Actor, Role
from services.notification.domain import Attempted, decider
from services.notification.policy import ATTEMPTS_MAX, RETRY_AFTER
from tests.domain.notification_samples import ORDER, SAMPLES, placed
from tests.domain.table import Desk, cells, outcome

HOOKS, SELLERS = "https://hooks.example/a?token=1", "https://sellers.example"
ROLES: frozenset[RecipientRole] = frozenset(("buyer", "seller"))
ANYWHERE = decider(mail=True, webhooks=ROLES, endpoints={HOOKS: frozenset(("buyer",)), SELLERS: frozenset(("seller",))})
RESENDING = """
               resend     by_a_seller  this_one   another_one  to_hooks   to_sellers  to_nowhere  later_ones
nothing_known  not_found  not_allowed  not_found  not_found    not_found  not_found   not_found   not_found
on_its_way     not_found  not_allowed  not_found  not_found    not_found  not_found   not_found   not_found
postponed      resent     not_allowed  resent     not_found    resent     not_found   not_found   not_found
given_up       resent     not_allowed  resent     not_found    resent     not_found   not_found   not_found
taken          not_found  not_allowed  not_found  not_found    not_found  not_found   not_found   not_found
"""
"""Of an order of which one webhook is left, to the buyer, about its being placed."""


def resend(role: Role = "operator", **what: Any) -> NotificationResend:
    return NotificationResend(order_id=ORDER, actor=Actor(role=role, id="olga"), **what)


class Box(Desk):
    def __init__(self, state: str) -> None:
        super().__init__(ANYWHERE)
        self.webhook = "none"
        if state == "nothing_known":
            return
        for one in self.hear(placed()):
            if isinstance(one, WebhookQueued) and one.recipient.role == "buyer":
                self.webhook = one.delivery_id
            elif isinstance(one, Queued | WebhookQueued):
                self.hear(Attempted(one.delivery_id, 1))
        match state:
            case "postponed":
                self.hear(Attempted(self.webhook, 1, "unreachable"))
            case "given_up":
                self.hear(Attempted(self.webhook, 1, "refused", final=True, http_status=410))
            case "taken":
                self.hear(Attempted(self.webhook, 1))


@pytest.mark.rule("R80")
@pytest.mark.parametrize(("state", "wish", "expected"), list(cells(RESENDING)))
def test_what_is_sent_again(state: str, wish: str, expected: str) -> None:
    box = Box(state)
    wishes = {
        "resend": resend(),
        "by_a_seller": resend("seller"),
        "this_one": resend(delivery_id=box.webhook),
        "another_one": resend(delivery_id="another"),
        "to_hooks": resend(endpoint=HOOKS),
        "to_sellers": resend(endpoint=SELLERS),
        "to_nowhere": resend(endpoint="https://nowhere.example"),
        "later_ones": resend(since=box.now + timedelta(milliseconds=1)),
    }
    said = box.send(wishes[wish])
    assert outcome(said) == expected
    assert box.refolded() == box.state
    if expected == "resent":
        [answer, begun] = said
        assert isinstance(answer, NotificationResent)
        assert answer.delivery_ids == (box.webhook,)
        assert isinstance(begun, Hastened if state == "postponed" else WebhookQueued)
        assert list(box.state.pending) == [box.webhook]
        assert not box.state.given_up


@pytest.mark.rule("R80")
def test_a_letter_that_was_given_up_comes_again_as_the_same_and_has_all_its_attempts() -> None:
    desk = Desk(decider(mail=True))
    letter, other = desk.hear(placed())[1:]
    assert isinstance(letter, Queued)
    assert isinstance(other, Queued)
    desk.hear(Attempted(other.delivery_id, 1))
    desk.hear(Attempted(letter.delivery_id, 1, "refused", 550, final=True))
    [_, again] = desk.send(resend(since=letter.event_at))
    assert isinstance(again, Queued)
    assert again == letter.model_copy(update={"attempts": 1, "actor": again.actor})
    for number, wait in enumerate(RETRY_AFTER, start=2):
        [postponed] = desk.hear(Attempted(letter.delivery_id, number, "unreachable"))
        assert isinstance(postponed, Postponed)
        assert postponed.next_attempt_at == desk.now + wait
    [failed] = desk.hear(Attempted(letter.delivery_id, ATTEMPTS_MAX + 1, "unreachable"))
    assert isinstance(failed, NotificationFailed)
    assert failed.attempts == ATTEMPTS_MAX + 1
    assert desk.refolded() == desk.state
    desk.send(resend(delivery_id=letter.delivery_id))
    [sent] = desk.hear(Attempted(letter.delivery_id, ATTEMPTS_MAX + 2))
    assert isinstance(sent, NotificationSent)
    assert not desk.state.given_up


@pytest.mark.rule("R80")
def test_all_that_was_given_up_of_an_order_comes_again_in_its_order() -> None:
    desk = Desk(decider(mail=True))
    ids = []
    for event in (placed(), SAMPLES["order.shipped"]):
        for one in desk.hear(event):
            if isinstance(one, Queued):
                ids.append(one.delivery_id)
                desk.hear(Attempted(one.delivery_id, 1, "refused", 550, final=True))
        desk.wait(days=1)
    answer, *again = desk.send(resend())
    assert isinstance(answer, NotificationResent)
    assert list(answer.delivery_ids) == ids == [one.delivery_id for one in again if isinstance(one, Queued)]
    assert answer.visible_to == ("operator",)
