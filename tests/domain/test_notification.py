"""Who hears what (R49)."""

from typing import Any

import pytest

from schemas.mediation import events, shapes
from schemas.notification.events import NotificationFailed, NotificationSent, Queued
from schemas.wire import Message
from services.notification.domain import DECIDER, TOPIC_ONLY, Attempted
from services.notification.states import State
from services.notification.subscriptions import ALL, SUBSCRIPTIONS, TOLD, Told, recipients
from shared.kernel.decider import Decider
from tests.domain.every_event import WHO_HEARS_WHAT
from tests.domain.notification_samples import BEA, MIA, SAM, SAMPLES, of_case, placed, requested
from tests.domain.table import NOON, Desk, cells


def mediated(decider: Decider[State, Any, Any] = DECIDER) -> Desk:
    """An order whose dispute d1 has a mediator, later than everything in the samples."""
    desk = Desk(decider)
    for event in (placed(), requested(), SAMPLES["mediation.assigned"]):
        desk.hear(event)
    desk.wait(hours=1)
    return desk


def heard_by(name: str, decider: Decider[State, Any, Any] = DECIDER) -> dict[str, Message]:
    """Role -> what is said to him."""
    desk = Desk(decider) if name.startswith("order.placed") else mediated(decider)
    said = desk.hear(SAMPLES[name], id=name) if SAMPLES[name].type in {model.type for model in SUBSCRIPTIONS} else []
    assert desk.refolded() == desk.state
    found: dict[str, Message] = {one.recipient.role: one for one in said if isinstance(one, Queued)}
    return found | {told.role: one for one in said if isinstance(one, NotificationSent) for told in one.recipients}


@pytest.mark.rule("R49")
@pytest.mark.parametrize(("name", "role", "expected"), list(cells(WHO_HEARS_WHAT)))
def test_who_hears_what(name: str, role: str, expected: str) -> None:
    assert (role in heard_by(name)) == (expected == "yes")


@pytest.mark.rule("R49")
def test_every_row_of_the_table_has_a_sample() -> None:
    assert {name for name, _, _ in cells(WHO_HEARS_WHAT)} == set(SAMPLES)


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_no_thanks_is_kept_from_the_seller_whatever_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    declined = SAMPLES["mediation.offer_declined"]
    monkeypatch.setitem(TOLD, type(declined), Told(ALL))
    assert recipients(declined) == ["buyer", "mediator"]


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_what_is_published_about_telling_is_for_who_was_told_and_operators() -> None:
    said = mediated(TOPIC_ONLY).hear(SAMPLES["mediation.offer_declined"])
    [sent] = [one for one in said if isinstance(one, NotificationSent)]
    assert [one.role for one in sent.recipients] == ["buyer", "mediator"]
    assert sent.visible_to == ("buyer", "mediator", "operator")


@pytest.mark.rule("R49")
def test_without_a_mail_server_one_record_tells_all() -> None:
    desk = mediated(TOPIC_ONLY)
    [sent] = desk.hear(SAMPLES["dispute.opened[by_hand]"])
    assert isinstance(sent, NotificationSent)
    assert (sent.template, sent.event_type) == ("dispute.opened", "dispute.opened.v1")
    assert [(one.role, one.id, one.channel, one.attempts) for one in sent.recipients] == [
        ("buyer", "bea", "topic", 1),
        ("seller", "sam", "topic", 1),
    ]


@pytest.mark.rule("R49")
def test_a_mediator_of_whom_nobody_has_said_an_address_is_told_by_the_topic() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    nameless = shapes.Mediator(id="max")
    [_, queued] = desk.hear(
        of_case(events.MediationAssigned, round=2, mediator=nameless, mediator_due_by=None),
    )
    assert isinstance(queued, Queued)
    assert queued.email is None
    [sent] = desk.hear(Attempted(queued.delivery_id, 1, "no_address"))
    assert isinstance(sent, NotificationSent)
    assert [(one.channel, one.id) for one in sent.recipients] == [("topic", "max")]


@pytest.mark.rule("R74")
def test_a_mediator_who_is_erased_is_not_told() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    nameless = shapes.Mediator(id="max")
    [_, queued] = desk.hear(of_case(events.MediationAssigned, round=2, mediator=nameless, mediator_due_by=None))
    assert isinstance(queued, Queued)
    [failed] = desk.hear(Attempted(queued.delivery_id, 1, "no_address", final=True))
    assert isinstance(failed, NotificationFailed)
    assert failed.problem == "no_address"


@pytest.mark.rule("R48")
def test_a_letter_goes_to_whoever_mediates_that_dispute_now() -> None:
    desk = mediated()
    other = shapes.Mediator(id="max", email="max@example.org")
    desk.hear(of_case(events.MediationAssigned, dispute_id="d2", round=1, mediator=other, mediator_due_by=None))
    answered = SAMPLES["mediation.answered[last]"]
    assert [one.email for one in desk.hear(answered) if isinstance(one, Queued)] == [BEA.email, SAM.email, MIA.email]
    desk.hear(of_case(events.MediationAssigned, round=1, mediator=other, mediator_due_by=None))
    desk.wait(hours=1)
    assert [one.email for one in desk.hear(answered) if isinstance(one, Queued)][2] == other.email


def test_a_round_without_a_mediator_tells_only_the_parties() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    said = desk.hear(SAMPLES["mediation.answered[last]"])
    assert [one.recipient.role for one in said if isinstance(one, Queued)] == ["buyer", "seller"]


@pytest.mark.rule("R49")
def test_an_event_that_overtakes_its_order_waits_for_it() -> None:
    desk = Desk(DECIDER)
    for name in ("dispute.requested", "dispute.opened[by_hand]", "mediation.assigned", "mediation.answered[last]"):
        assert [one.type for one in desk.hear(SAMPLES[name])] == ["notification.held.v1"]
        desk.wait(minutes=1)
    assert desk.hear(SAMPLES["order.tracking_reported[in_transit]"]) == []
    said = desk.hear(placed())
    assert desk.refolded() == desk.state
    queued = [one for one in said if isinstance(one, Queued)]
    assert [(one.template, one.recipient.role) for one in queued] == [
        ("order.placed", "buyer"),
        ("order.placed", "seller"),
        ("dispute.opened", "buyer"),
        ("dispute.opened", "seller"),
        ("mediation.assigned", "mediator"),
        ("mediation.answered", "buyer"),
        ("mediation.answered", "seller"),
        ("mediation.answered", "mediator"),
    ]
    assert queued[2].facts["claim_reason"] == "damaged"


@pytest.mark.rule("R49")
def test_a_delivery_has_the_same_id_whether_its_event_waited_or_not() -> None:
    late, early = Desk(DECIDER), Desk(DECIDER)
    late.hear(SAMPLES["order.shipped"], id="shipped")
    early.hear(placed())
    [*_, late_to_seller] = late.hear(placed())
    [*_, early_to_seller] = early.hear(SAMPLES["order.shipped"], id="shipped")
    assert isinstance(late_to_seller, Queued)
    assert late_to_seller == early_to_seller
    assert late_to_seller.event_at == NOON


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "before its order was placed"])
def test_the_same_said_twice_in_one_moment_is_told_twice(waits: bool) -> None:
    desk = Desk(DECIDER)
    said = [] if waits else desk.hear(placed())
    for message_id in ("m1", "m2"):
        said += desk.hear(SAMPLES["dispute.message_sent[buyer]"], id=message_id)
    said += desk.hear(placed()) if waits else []
    letters = [one for one in said if isinstance(one, Queued) and one.event_type == "dispute.message_sent.v1"]
    assert len({letter.delivery_id for letter in letters}) == 2
    assert set(desk.state.pending) >= {letter.delivery_id for letter in letters}


def test_every_event_recipient_and_channel_has_a_delivery_of_its_own() -> None:
    said = [one for decider in (DECIDER, TOPIC_ONLY) for name in SAMPLES for one in heard_by(name, decider).values()]
    ids = [one.delivery_id for one in said if isinstance(one, Queued)]
    by_topic = {one.model_dump_json(): one for one in said if isinstance(one, NotificationSent)}.values()
    ids += [told.delivery_id for one in by_topic for told in one.recipients]
    assert len(ids) == len(set(ids)) > 200
