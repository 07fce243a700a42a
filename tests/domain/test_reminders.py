"""A reminder before money is lost: when it comes, of an order and of a mediator's question, and to whom (R68)."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.common import OrderLine
from schemas.mediation.events import MediationReminded, QuestionAsked
from schemas.order import commands, events
from schemas.visibility import Viewer, may_see
from schemas.wire import Message
from services.notification.subscriptions import recipients
from shared.rules.reminding import remind_at
from tests.domain.mediation_room import BUYER, SELLER, Room, under
from tests.domain.notification_samples import SAMPLES
from tests.domain.order_desk import HAT, OPERATOR, SHIRTS, OrderDesk
from tests.domain.order_desk import under as order_under
from tests.domain.table import NOON, newest, outcome
from tests.domain.test_notification_letters import letters

pytestmark = [pytest.mark.rule("R68"), pytest.mark.usefixtures("either_version")]

HOUR, DAY, MILLISECOND = timedelta(hours=1), timedelta(days=1), timedelta(milliseconds=1)
REMINDING = newest()[1].model_copy(update={"reminders": True})


@pytest.mark.parametrize(
    ("lasts", "after"),
    [
        (4 * MILLISECOND, 3 * MILLISECOND),
        (2 * MILLISECOND, MILLISECOND),  # an instant is whole milliseconds, and never later than three quarters
        (48 * HOUR, 36 * HOUR),
        (48 * HOUR + MILLISECOND, MILLISECOND),
        (72 * HOUR, 24 * HOUR),
        (8 * DAY, 6 * DAY),
        (60 * DAY, 45 * DAY),
    ],
)
def test_at_three_quarters_or_48_hours_before_the_end(lasts: timedelta, after: timedelta) -> None:
    assert remind_at(NOON, NOON + lasts, REMINDING) == NOON + after
    assert remind_at(NOON, NOON + lasts, REMINDING.model_copy(update={"reminders": False})) is None


# -- to ship in time ---------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(either_version: None, monkeypatch: pytest.MonkeyPatch) -> OrderDesk:
    order_under(monkeypatch, reminders=True)
    return OrderDesk()


def shipping(said: list[Message]) -> list[events.OrderReminded]:
    return [one for one in said if isinstance(one, events.OrderReminded)]


def due(desk: OrderDesk, name: str = "processing_reminder") -> Any:
    return next((one.due_at for one in desk.decider.deadlines(desk.state) if one.name == name), None)


def test_the_seller_is_reminded_to_ship_and_of_all_that_goes_back(desk: OrderDesk) -> None:
    desk.place()
    assert due(desk) == NOON + 5 * DAY
    desk.give_back(hat=100)
    desk.now = NOON + 5 * DAY
    assert outcome(desk.ring()) == "-"
    desk.wait(milliseconds=1)

    (one,) = shipping(desk.ring())

    assert (one.clock, one.to, one.ends_at, one.otherwise) == ("processing_ends", "seller", NOON + 7 * DAY, "cancelled")
    assert (one.refund_minor, one.release_minor, one.status) == (1_400, 0, "awaiting_shipment")
    desk.wait(hours=1)
    assert outcome(desk.ring()) == "-"
    assert desk.refolded() == desk.state
    desk.now = NOON + 7 * DAY + MILLISECOND
    (cancelled,) = (said for said in desk.ring() if isinstance(said, events.Cancelled))
    assert cancelled.refund_minor == one.refund_minor


def test_without_reminders_he_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    order_under(monkeypatch, reminders=False)
    desk = OrderDesk()
    desk.place()
    assert due(desk) is None
    assert all(one.remind_at is None for one in desk.history if isinstance(one, events.Placed))


@pytest.mark.parametrize(
    ("late", "expected"), [(-MILLISECOND, "reminded"), (timedelta(0), "-"), (MILLISECOND, "cancelled")]
)
def test_a_late_bell_reminds_of_nothing_that_is_over(desk: OrderDesk, late: timedelta, expected: str) -> None:
    desk.place()
    desk.now = NOON + 7 * DAY + late
    assert outcome(desk.ring()) == expected
    assert due(desk) is None
    assert desk.refolded() == desk.state


@pytest.mark.parametrize("act", [lambda desk: desk.say(commands.Cancel), OrderDesk.ship], ids=["cancel", "ship"])
def test_what_ends_the_clock_ends_its_reminder(desk: OrderDesk, act: Any) -> None:
    desk.place()
    act(desk)
    assert due(desk) is None


@pytest.mark.parametrize("at", [1, 6])
def test_an_extension_moves_it_and_who_was_reminded_is_told_the_new_end(desk: OrderDesk, at: int) -> None:
    """On day 6 he has been reminded of day 7."""
    desk.place()
    desk.wait(days=at)
    assert len(shipping(desk.ring())) == (at > 5)

    (extended,) = (
        one for one in desk.say(commands.ExtendProcessing, days=20) if isinstance(one, events.ProcessingExtended)
    )

    assert extended.remind_at == due(desk) == NOON + at * DAY + (27 - at) * DAY * 3 / 4
    desk.now = due(desk) + MILLISECOND
    assert [one.ends_at for one in shipping(desk.ring())] == [NOON + 27 * DAY]


def test_his_time_begins_with_the_capture_and_so_does_the_reminder(monkeypatch: pytest.MonkeyPatch) -> None:
    order_under(monkeypatch, reminders=True, capture="confirmed")
    desk = OrderDesk()
    (placed,) = (one for one in desk.place(paid=False) if isinstance(one, events.Placed))
    assert placed.remind_at is None
    assert due(desk) is None
    desk.wait(hours=3)
    desk.captured()
    assert due(desk) == NOON + 3 * HOUR + 5 * DAY


def test_of_gifts_alone_nobody_is_reminded(desk: OrderDesk) -> None:
    desk.place(SHIRTS, OrderLine(line_id="gift", title="A pin", quantity=1, amount_minor=0), HAT)
    desk.say(commands.Cancel, OPERATOR, lines=("shirts", "hat"), reason="Sold out")
    assert desk.money.held_minor == 0
    assert due(desk) is None


# -- a mediator's question ---------------------------------------------------------------------------------------------


def room(to: str, **changes: Any) -> Room:
    """Somebody is asked at noon on a Monday, under these rules."""
    room = Room(under(reminders=True, **changes))
    room.escalate()
    room.assign()
    room.ask(to)
    return room


def asked_in_vain(said: list[Message]) -> list[tuple[str, str, int | None]]:
    return [(one.to, one.otherwise, one.refund_minor) for one in said if isinstance(one, MediationReminded)]


def reminder(room: Room) -> Any:
    return next((one.due_at for one in room.decider.deadlines(room.state) if one.name == "answer_reminder"), None)


@pytest.mark.parametrize(
    ("to", "changes", "expected"),
    [
        ("buyer", {}, [("buyer", "decided", 0)]),
        ("buyer", {"buyer_silence": "cancelled"}, [("buyer", "cancelled", None)]),
        ("seller", {}, [("seller", "decided_on_record", None)]),
        ("seller", {"mediation_seller_silence": "buyer_wins"}, [("seller", "decided", 8_000)]),
        ("both", {}, [("buyer", "decided", 0), ("seller", "decided_on_record", None)]),
    ],
)
def test_who_has_not_answered_is_reminded_of_what_his_silence_brings(
    to: str, changes: dict[str, Any], expected: list[Any]
) -> None:
    room_ = room(to, **changes)
    asked = next(one for one in room_.history if isinstance(one, QuestionAsked))
    assert reminder(room_) == asked.remind_at == NOON + (asked.answer_by - NOON) * 3 / 4
    room_.until("answer_reminder")

    said = room_.ring()

    assert asked_in_vain(said) == expected
    ones = [one for one in said if isinstance(one, MediationReminded)]
    assert {(one.question_id, one.clock, one.ends_at) for one in ones} == {("q1", "answer", asked.answer_by)}
    assert [one.visible_to for one in ones] == [(one.to, "mediator", "operator") for one in ones]
    room_.wait(hours=1)
    assert outcome(room_.ring()) == "-"
    assert room_.refolded() == room_.state


def test_who_has_answered_is_left_in_peace() -> None:
    room_ = room("both")
    room_.answer(BUYER)
    room_.until("answer_reminder")
    assert [to for to, *_ in asked_in_vain(room_.ring())] == ["seller"]
    room_ = room("both")
    room_.answer(BUYER)
    room_.answer(SELLER)
    assert reminder(room_) is None


def test_a_decision_ends_it() -> None:
    room_ = room("buyer")
    room_.decide()
    assert reminder(room_) is None


@pytest.mark.parametrize(
    ("late", "expected"),
    [(-MILLISECOND, "reminded"), (timedelta(0), "-"), (MILLISECOND, "answer_missed+defaulted+seat")],
)
def test_a_silence_that_is_judged_is_not_reminded_of(late: timedelta, expected: str) -> None:
    room_ = room("buyer")
    asked = next(one for one in room_.history if isinstance(one, QuestionAsked))
    room_.now = asked.answer_by + late
    assert outcome(room_.ring()) == expected
    assert reminder(room_) is None
    assert room_.refolded() == room_.state


def test_over_gifts_nobody_is_reminded_of_a_question() -> None:
    room_ = Room(under(reminders=True))
    room_.hear(room_.escalated().model_copy(update={"claimed_minor": 0}))
    room_.assign()
    room_.ask("both")
    assert reminder(room_) is None


def test_where_the_round_ends_before_the_answer_is_due_nobody_is_reminded() -> None:
    room_ = room("buyer")
    room_.answer(BUYER)
    room_.now = room_.case.round_ends_by - DAY
    room_.ring()  # the mediator's own time is long over: somebody else asks
    room_.assign("m2")
    room_.ask("seller", "q2", by="m2")
    asked = [one for one in room_.history if isinstance(one, QuestionAsked)][-1]
    assert asked.answer_by > room_.case.round_ends_by
    assert asked.remind_at is None


# -- to him alone ------------------------------------------------------------------------------------------------------

REMINDERS = [name for name in SAMPLES if ".reminded" in name]


@pytest.mark.parametrize("name", REMINDERS)
def test_the_other_side_is_neither_told_nor_shown(name: str) -> None:
    event: Any = SAMPLES[name]
    other: Viewer = "buyer" if event.to == "seller" else "seller"
    assert recipients(event) == [event.to]
    assert may_see(event, event.to)
    assert may_see(event, "operator")
    assert not may_see(event, other)


@pytest.mark.parametrize(
    ("name", "language", "sentence"),
    [
        ("order.reminded", "en", "the order is then cancelled, 20.00 EUR are refunded to the buyer"),
        ("order.reminded", "de", "20,00 EUR werden dem Käufer erstattet"),
        ("dispute.reminded[granted]", "en", "If you do nothing, 5.00 EUR go to the buyer and 7.50 EUR to you"),
        ("dispute.reminded[granted]", "de", "gehen 5,00 EUR an den Käufer und 7,50 EUR an Sie"),
        ("dispute.reminded[return_ship]", "en", "0.00 EUR go to you and 12.50 EUR to the seller, for good"),
        ("dispute.reminded[return_ship]", "de", "gehen 0,00 EUR an Sie und 12,50 EUR an den Verkäufer"),
        ("dispute.reminded[escalated]", "en", "goes to a mediator, who decides about the money"),
        ("dispute.reminded[new_parcel]", "en", "you have to send a replacement; if you do not, 5.00 EUR go"),
        ("mediation.reminded[buyer]", "en", "it is decided that you get 0.00 EUR back"),
        ("mediation.reminded[seller]", "de", "dass der Käufer 12,50 EUR zurückerhält"),
        ("mediation.reminded[cancelled]", "de", "wird Ihr Streitfall zurückgezogen"),
    ],
)
def test_the_letter_says_what_it_costs(name: str, language: str, sentence: str) -> None:
    (written,) = letters(SAMPLES[name], language).values()
    assert sentence in written.text, written.text
