"""Who hears what (R49)."""

from typing import Any

import pytest

from schemas.mediation import events, shapes
from schemas.notification.events import NotificationSent, Queued
from schemas.wire import Event, Message, Rejected, Resumed
from services.notification.domain import DECIDER, TOPIC_ONLY
from services.notification.states import State
from services.notification.subscriptions import ALL, SUBSCRIPTIONS, TOLD, Told, recipients
from shared.kernel.decider import Decider
from tests.domain.notification_samples import BEA, MIA, SAM, SAMPLES, of_case, placed, requested
from tests.domain.table import NOON, Desk, cells

WHO_HEARS_WHAT = """
                                            buyer   seller  mediator
order.placed                                yes     yes     -
order.cancelled[buyer]                      yes     yes     -
order.cancelled[not_shipped]                yes     yes     -
order.processing_extended                   yes     -       -
order.shipped                               yes     yes     -
order.tracking_corrected                    yes     -       -
order.tracking_reported[delivered]          yes     yes     -
order.tracking_reported[failed]             yes     yes     -
order.tracking_reported[in_transit]         -       -       -
order.tracking_reported[completed]          -       -       -
order.extension_requested                   -       yes     -
order.protection_extended                   yes     yes     -
order.protection_ending[held]               yes     yes     -
order.protection_ending[disputed]           yes     yes     -
order.receipt_confirmed                     yes     yes     -
order.lines_frozen                          -       -       -
order.freeze_refused                        -       -       -
order.lines_unfrozen                        -       -       -
order.lines_released[protection_ended]      yes     yes     -
order.lines_released[receipt_confirmed]     -       -       -
order.lines_released[dispute_cancelled]     -       -       -
order.lines_released[arbitration_cancelled] -       -       -
order.settled                               -       -       -
order.completed[paid]                       yes     yes     -
order.completed[refunded]                   yes     yes     -
dispute.requested                           -       -       -
dispute.opened[by_hand]                     yes     yes     -
dispute.opened[never_by_hand]               yes     yes     -
dispute.open_refused                        yes     -       -
dispute.modified[reason]                    -       yes     -
dispute.modified[terms]                     -       -       -
dispute.modified[reason+terms]              -       yes     -
dispute.evidence_added[buyer]               -       yes     -
dispute.evidence_added[seller]              yes     -       -
dispute.message_sent[buyer]                 -       yes     -
dispute.message_sent[seller]                yes     -       -
dispute.offer_made[buyer]                   yes     yes     -
dispute.offer_made[seller]                  yes     yes     -
dispute.offer_made[nothing]                 yes     yes     -
dispute.offer_made[replacement]             yes     yes     -
dispute.offer_accepted                      -       -       -
dispute.escalated[rejected]                 yes     yes     -
dispute.escalated[window]                   yes     yes     -
dispute.escalated[no_agreement]             yes     yes     -
dispute.escalated[seller_silent]            yes     yes     -
dispute.escalated[return_contested]         yes     yes     -
dispute.escalated[replacement_failed]       yes     yes     -
dispute.return_awaited[agreed]              yes     yes     -
dispute.return_awaited[silent]              yes     yes     -
dispute.return_awaited[decided]             yes     yes     -
dispute.return_shipped                      yes     yes     -
dispute.return_reported[delivered]          yes     yes     -
dispute.return_reported[in_transit]         -       -       -
dispute.return_received                     -       -       -
dispute.return_contested                    yes     -       -
dispute.replacement_awaited[agreed]         yes     yes     -
dispute.replacement_awaited[silent]         yes     yes     -
dispute.replacement_shipped                 yes     yes     -
dispute.decided[appealable]                 yes     yes     -
dispute.decided[return]                     yes     yes     -
dispute.decided[final]                      yes     yes     -
dispute.decided[buyer_silent]               yes     yes     -
dispute.decided[seller_silent]              yes     yes     -
dispute.decided[mediation_max]              yes     yes     -
dispute.appealed[buyer]                     yes     yes     -
dispute.appealed[seller]                    yes     yes     -
dispute.appeal_waived                       yes     yes     -
dispute.cancelled[reopenable]               yes     yes     -
dispute.cancelled[final]                    yes     yes     -
dispute.closed[offer_accepted]              yes     yes     -
dispute.closed[seller_silent]               yes     yes     -
dispute.closed[decided]                     yes     yes     -
dispute.closed[buyer_silent]                yes     yes     -
dispute.closed[cancelled]                   -       -       -
dispute.closed[arbitration_cancelled]       yes     yes     -
dispute.closed[return_not_shipped]          yes     yes     -
dispute.closed[replaced]                    yes     yes     -
mediation.opened                            -       -       -
mediation.assigned                          -       -       yes
mediation.assigned[waiting]                 -       -       yes
mediation.question_asked[buyer]             yes     yes     -
mediation.question_asked[seller]            yes     yes     -
mediation.question_asked[both]              yes     yes     -
mediation.answered[last]                    yes     yes     yes
mediation.answered[another_awaited]         yes     yes     yes
mediation.answer_missed                     yes     yes     yes
mediation.offer_made                        yes     yes     yes
mediation.offer_accepted                    -       -       yes
mediation.offer_declined                    yes     -       yes
mediation.decided                           yes     yes     -
mediation.decided[return]                   yes     yes     -
mediation.defaulted[silence]                -       -       yes
mediation.defaulted[mediation_max]          -       -       yes
mediation.cancelled                         -       -       yes
mediation.overdue                           -       -       yes
mediation.overdue[nobody]                   -       -       -
mediation.mediator_registered               -       -       -
mediation.mediator_retired                  -       -       -
refund.requested                            -       -       -
refund.submitted                            -       -       -
refund.settled                              yes     -       -
refund.paid_out                             -       yes     -
refund.charged_back                         -       yes     -
refund.failed                               -       -       -
refund.overdue[refund]                      yes     -       -
refund.overdue[payout]                      -       yes     -
refund.overdue[chargeback]                  -       -       -
refund.review_needed                        -       -       -
"""
# Nobody's mail, for the letter about what follows in the same moment says it:
#   order.lines_frozen -> dispute.opened, order.freeze_refused -> dispute.open_refused, dispute.requested -> either,
#   order.lines_unfrozen, dispute.closed[cancelled] -> dispute.cancelled, order.settled -> dispute.closed,
#   dispute.offer_accepted -> dispute.closed, return_awaited or replacement_awaited, dispute.return_received ->
#   dispute.closed, dispute.modified[terms] -> dispute.offer_made, mediation.opened -> dispute.escalated or appealed.
# The operators' own: refund.failed, review_needed, a late chargeback, the roster.


def mediated(decider: Decider[State, Any, Any] = DECIDER) -> Desk:
    """An order whose dispute d1 has a mediator, later than everything in the samples."""
    desk = Desk(decider)
    for event in (placed(), requested(), SAMPLES["mediation.assigned"]):
        desk.hear(event)
    desk.wait(hours=1)
    return desk


def heard_by(name: str, decider: Decider[State, Any, Any] = DECIDER) -> dict[str, Message]:
    """Role -> what is said to him."""
    desk = Desk(decider) if name == "order.placed" else mediated(decider)
    said = desk.hear(SAMPLES[name], id=name) if SAMPLES[name].type in {model.type for model in SUBSCRIPTIONS} else []
    assert desk.refolded() == desk.state
    return {one.recipient.role: one for one in said if isinstance(one, Queued | NotificationSent)}


@pytest.mark.rule("R49")
@pytest.mark.parametrize(("name", "role", "expected"), list(cells(WHO_HEARS_WHAT)))
def test_who_hears_what(name: str, role: str, expected: str) -> None:
    assert (role in heard_by(name)) == (expected == "yes")


@pytest.mark.rule("R49")
def test_the_table_speaks_of_every_event_there_is() -> None:
    families = {"order.events", "dispute.events", "mediation.events", "refund.events"}
    facts = {
        model.type.rpartition(".")[0]
        for model in Message.MODELS.values()
        if issubclass(model, Event) and not issubclass(model, Rejected | Resumed) and model.topic in families
    }
    told = {name.partition("[")[0] for name, _, _ in cells(WHO_HEARS_WHAT)}
    assert told == facts
    assert {name for name, _, _ in cells(WHO_HEARS_WHAT)} == set(SAMPLES)


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_no_thanks_is_kept_from_the_seller_whatever_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    declined = SAMPLES["mediation.offer_declined"]
    monkeypatch.setitem(TOLD, type(declined), Told(ALL))
    assert recipients(declined) == ["buyer", "mediator"]


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_what_is_published_about_a_letter_is_for_its_recipient_and_operators() -> None:
    said = mediated(TOPIC_ONLY).hear(SAMPLES["mediation.offer_declined"])
    assert [one.visible_to for one in said if isinstance(one, NotificationSent)] == [
        ("buyer", "operator"),
        ("mediator", "operator"),
    ]


@pytest.mark.rule("R49")
def test_without_a_mail_server_the_topic_itself_tells_people() -> None:
    said = heard_by("dispute.opened[by_hand]", TOPIC_ONLY)
    assert {role: type(one) for role, one in said.items()} == {"buyer": NotificationSent, "seller": NotificationSent}
    sent = said["seller"]
    assert isinstance(sent, NotificationSent)
    assert (sent.channel, sent.template, sent.event_type) == ("topic", "dispute.opened", "dispute.opened.v1")
    assert (sent.recipient.id, sent.attempts) == ("sam", 1)


@pytest.mark.rule("R49")
def test_a_mediator_without_an_address_is_told_by_the_topic() -> None:
    desk = Desk(DECIDER)
    desk.hear(placed())
    nameless = shapes.Mediator(id="max")
    [_, sent] = desk.hear(
        of_case(events.MediationAssigned, round=2, mediator=nameless, mediator_due_by=None),
    )
    assert isinstance(sent, NotificationSent)
    assert (sent.channel, sent.recipient.id) == ("topic", "max")


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
    ids = [
        one.delivery_id
        for decider in (DECIDER, TOPIC_ONLY)
        for name in SAMPLES
        for one in heard_by(name, decider).values()
        if isinstance(one, Queued | NotificationSent)
    ]
    assert len(ids) == len(set(ids))
