"""Who is told by which record: all of an event by one, and by another whoever could be told only later (R49)."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.notification.commands import NotificationResend
from schemas.notification.events import (
    LookupQueued,
    NotificationFailed,
    NotificationSent,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.wire import Actor, Event, Message
from services.notification import domain
from services.notification.domain import DECIDER, TOPIC_ONLY, Attempted, decider
from services.notification.states import Known
from services.notification.subscriptions import SUBSCRIPTIONS
from shared.kernel.policies import Policies
from shared.kernel.stream import refold
from tests.domain.notification_samples import ORDER, SAMPLES, placed
from tests.domain.table import Desk, cells
from tests.domain.test_notification_webhooks import BOTH_CHANNELS

pytestmark = pytest.mark.rule("R49")

CAME: dict[str, dict[str, Any]] = {
    "taken": {},
    "busy": {"problem": "refused", "smtp_status": 451},
    "gone": {"problem": "refused", "smtp_status": 550, "final": True},
}
SECOND = """
         taken             busy                   gone
nothing  taken:seller      postponed              failed
taken    sent:buyer,seller postponed+sent:buyer   failed+sent:buyer
busy     sent:seller       postponed              failed
gone     sent:seller       postponed              failed
"""
"""By what came of the buyer's first attempt: what that of the seller's brings about."""


def said_of(said: Iterable[Message]) -> str:
    """`postponed+sent:buyer,seller`: private rows, too."""
    words = []
    for one in said:
        word = one.type.split(".")[1]
        if isinstance(one, NotificationSent):
            word += ":" + ",".join(told.role for told in one.recipients)
        words.append(f"{word}:{one.told.role}" if isinstance(one, Taken) else word)
    return "+".join(words)


def letters(said: Iterable[Message]) -> list[Queued]:
    return [one for one in said if isinstance(one, Queued)]


class Placed(Desk):
    """An order of which both parties have a letter in the queue."""

    def __init__(self) -> None:
        super().__init__(DECIDER)
        buyers, sellers = letters(self.hear(placed()))
        self.ids = {"buyer": buyers.delivery_id, "seller": sellers.delivery_id}

    def comes(self, role: str, name: str, number: int = 1) -> str:
        said = self.hear(Attempted(self.ids[role], number, **CAME[name]))
        assert self.refolded() == self.state
        return said_of(said)


@pytest.mark.parametrize(("first", "second", "expected"), list(cells(SECOND)))
def test_with_the_last_first_attempt_all_is_told_that_was_taken(first: str, second: str, expected: str) -> None:
    desk = Placed()
    if first != "nothing":
        desk.comes("buyer", first)
    assert desk.comes("seller", second) == expected


def test_who_could_be_told_only_later_follows_in_another_record() -> None:
    desk = Placed()
    desk.comes("buyer", "busy")
    assert desk.comes("seller", "taken") == "sent:seller"
    assert desk.comes("buyer", "busy", number=2) == "postponed"
    assert desk.comes("buyer", "taken", number=3) == "sent:buyer"
    [*_, sent] = desk.history
    assert isinstance(sent, NotificationSent)
    assert [one.attempts for one in sent.recipients] == [3]
    assert sent.visible_to == ("buyer", "operator")
    assert (desk.state.pending, desk.state.taken) == ({}, {})


def test_a_later_attempt_that_is_taken_waits_for_anothers_first() -> None:
    desk = Placed()
    desk.comes("buyer", "busy")
    assert desk.comes("buyer", "taken", number=2) == "taken:buyer"
    assert desk.comes("seller", "taken") == "sent:buyer,seller"


def test_what_was_taken_is_not_taken_again() -> None:
    desk = Placed()
    desk.comes("buyer", "taken")
    assert desk.comes("buyer", "taken") == ""
    assert desk.comes("buyer", "busy", number=2) == ""


def test_who_alone_hears_of_an_event_is_told_at_once() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    desk.wait(hours=1)
    [letter] = letters(desk.hear(SAMPLES["dispute.message_sent[buyer]"]))
    assert said_of(desk.hear(Attempted(letter.delivery_id, 1))) == "sent:seller"


def test_two_events_of_one_kind_and_moment_have_a_record_each() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    first = letters(desk.hear(SAMPLES["order.shipped"], id="one parcel"))
    second = letters(desk.hear(SAMPLES["order.shipped"], id="another"))
    said = [said_of(desk.hear(Attempted(one.delivery_id, 1))) for one in (first[0], second[0], second[1], first[1])]
    assert said == ["taken:buyer", "taken:buyer", "sent:buyer,seller", "sent:buyer,seller"]


def test_what_was_queued_before_it_had_the_events_id_is_told_together() -> None:
    desk = Desk(DECIDER)
    introduced, *queued = desk.hear(placed())
    before = Desk(DECIDER)
    for one in (introduced, *(one.model_copy(update={"event_id": ""}) for one in letters(queued))):
        refold(before.decider, before.stream, one)
    said = [said_of(before.hear(Attempted(one.delivery_id, 1))) for one in letters(queued)]
    assert said == ["taken:buyer", "sent:buyer,seller"]


@pytest.mark.rule("R79")
def test_a_letter_that_is_held_back_is_not_waited_for() -> None:
    desk = Desk(BOTH_CHANNELS)
    desk.hear(placed())
    desk.wait(hours=1)
    desk.hear(SAMPLES["dispute.message_sent[buyer]"])
    desk.wait(minutes=1)
    letter, webhook = desk.hear(SAMPLES["dispute.message_sent[buyer]"])
    assert isinstance(letter, Queued)
    assert letter.not_before is not None
    assert isinstance(webhook, WebhookQueued)
    assert said_of(desk.hear(Attempted(webhook.delivery_id, 1))) == "sent:seller"
    desk.wait(minutes=14)
    assert said_of(desk.hear(Attempted(letter.delivery_id, 1))) == "sent:seller"


@pytest.mark.rule("R74")
def test_what_a_look_up_finds_is_waited_for_and_who_is_not_known_yet_is_not() -> None:
    desk = Desk(decider(mail=True, own_webhooks=True))
    said = desk.hear(placed())
    buyer, seller = [one.delivery_id for one in said if isinstance(one, LookupQueued)]
    for one in letters(said):
        assert said_of(desk.hear(Attempted(one.delivery_id, 1))).startswith("taken")
    assert said_of(desk.hear(Attempted(seller, 1, "no_address"))) == "postponed"
    [_, webhook] = desk.hear(Attempted(buyer, 1, endpoint_ids=("shelf",)))
    assert isinstance(webhook, WebhookQueued)
    [sent] = desk.hear(Attempted(webhook.delivery_id, 1))
    assert isinstance(sent, NotificationSent)
    assert [(one.role, one.channel, one.endpoint_id) for one in sent.recipients] == [
        ("buyer", "email", None),
        ("seller", "email", None),
        ("buyer", "webhook", "shelf"),
    ]
    assert sent.visible_to == ("buyer", "seller", "operator")
    assert desk.refolded() == desk.state


@pytest.mark.rule("R74")
def test_with_a_look_up_that_finds_nothing_all_is_told_that_was_taken() -> None:
    desk = Desk(decider(mail=True, own_webhooks=True))
    for one in desk.hear(placed()):
        if isinstance(one, Queued):
            desk.hear(Attempted(one.delivery_id, 1))
    buyer, seller = desk.state.pending
    assert said_of(desk.hear(Attempted(buyer, 1, "no_address", final=True))) == "looked_up"
    assert said_of(desk.hear(Attempted(seller, 1, endpoint_ids=()))) == "looked_up+sent:buyer,seller"


def test_the_topic_waits_for_no_webhook() -> None:
    desk = Desk(decider(mail=False, webhooks=("buyer", "seller")))
    said = desk.hear(placed())
    assert said_of(said) == "introduced+sent:buyer,seller+webhook_queued+webhook_queued"
    came = [desk.hear(Attempted(one.delivery_id, 1)) for one in said if isinstance(one, WebhookQueued)]
    assert [said_of(one) for one in came] == ["taken:buyer", "sent:buyer,seller"]


@pytest.mark.rule("R80")
def test_what_is_begun_anew_is_told_together_its_attempts_counted_on() -> None:
    desk = Placed()
    desk.comes("buyer", "gone")
    desk.comes("seller", "gone")
    desk.send(NotificationResend(order_id=ORDER, actor=Actor(role="operator", id="olga")))
    assert desk.comes("seller", "taken", number=2) == "taken:seller"
    assert desk.comes("buyer", "taken", number=2) == "sent:seller,buyer"
    [*_, sent] = desk.history
    assert isinstance(sent, NotificationSent)
    assert [one.attempts for one in sent.recipients] == [2, 2]


# -- when a database was put back --------------------------------------------------------------------------------------


def as_it_was_said(desk: Desk, said: Message) -> None:
    refold(desk.decider, desk.stream, said)
    desk.history.append(said)


def test_what_the_bus_says_was_told_is_over_whatever_was_known_of_it() -> None:
    desk, told = Placed(), Placed()
    desk.comes("buyer", "taken")
    told.comes("buyer", "taken")
    told.comes("seller", "taken")
    as_it_was_said(desk, told.history[-1])
    assert (desk.state.pending, desk.state.taken) == ({}, {})


def test_what_was_taken_is_told_although_the_bus_ends_before_it_was() -> None:
    """Its last words are that the other one was given up; those that followed them are lost."""
    desk, known = Placed(), Placed()
    desk.comes("buyer", "taken")
    known.comes("buyer", "taken")
    known.comes("seller", "gone")
    failed, _ = known.history[-2:]
    assert isinstance(failed, NotificationFailed)
    as_it_was_said(desk, failed)
    assert desk.state.taken
    desk.wait(days=1)
    letter, _ = letters(desk.hear(SAMPLES["order.shipped"]))
    said = desk.hear(Attempted(letter.delivery_id, 1))
    assert said_of(said) == "taken:buyer+sent:buyer"
    assert [one.event_type for one in said if isinstance(one, NotificationSent)] == ["order.placed.v1"]
    assert desk.refolded() == desk.state


def test_what_was_written_while_each_delivery_had_a_record_of_its_own_can_be_read() -> None:
    delivery = {"delivery_id": "d1", "channel": "webhook", "attempts": 2, "endpoint_id": "shelf"}
    about = {"event_type": "order.placed.v1", "event_at": "2026-03-20T18:45:10.250Z", "template": "order.placed"}
    then = {"order_id": ORDER, "actor": None, "recipient": {"role": "buyer", "id": "bea"}, **delivery, **about}
    read = NotificationSent.read(json.dumps(then | {"visible_to": ["buyer", "operator"]}))
    assert json.loads(read.model_dump_json()) == {
        "order_id": ORDER,
        "actor": None,
        "visible_to": ["buyer", "operator"],
        **about,
        "recipients": [{"role": "buyer", "id": "bea", **delivery}],
    }


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"recipients": []}', b'{"recipient": {"role": "buyer"}}', b"\xff"]
)
def test_what_is_neither_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ValidationError):
        NotificationSent.read(data)


# -- what is made for letters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "is_made"),
    [(TOPIC_ONLY, False), (decider(mail=False, own_webhooks=True), False), (DECIDER, True), (BOTH_CHANNELS, True)],
    ids=["topic", "webhooks of their own", "letters", "letters and webhooks"],
)
def test_the_facts_of_letters_are_made_where_one_is_written(
    channels: Any, is_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, made = domain._facts, []

    def watched(state: Known, event: Event, policies: Policies) -> dict[str, Any]:
        made.append(event)
        return facts(state, event, policies)

    monkeypatch.setattr(domain, "_facts", watched)
    desk = Desk(channels)
    told = [event for event in SAMPLES.values() if isinstance(event, SUBSCRIPTIONS) and desk.hear(event)]
    assert len(told) > 50
    assert bool(made) == is_made
