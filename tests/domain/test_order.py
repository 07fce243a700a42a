"""The life of an order: placed, shipped, protected, released (R1-R9); what a dispute does to it is told elsewhere."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.common import OrderLine, Payment
from schemas.instants import rfc3339
from schemas.order import commands, events
from schemas.policy import Duration
from schemas.timer.commands import Schedule
from schemas.wire import Actor, Event
from services.order.lines import Money
from services.order.states import Parcel, deadlines
from tests.domain.order_desk import (
    BEA,
    BUYER,
    HAT,
    OPERATOR,
    PLATFORM,
    SELLER,
    STATES,
    OrderDesk,
    all_refunding,
    answer,
    awaiting,
    columns,
    confirmed,
    expired,
    in_state,
    one_disputed,
    only,
    shipped,
    under,
)
from tests.domain.table import NOON, cells, newest

DAY = timedelta(days=1)

COMMANDS: dict[str, Any] = {
    "place": lambda desk: desk.place(),
    "cancel": lambda desk: desk.say(commands.Cancel, reason="Found it cheaper"),
    "cancelled_for_him": lambda desk: desk.say(commands.Cancel, SELLER, reason="Sold out"),
    "cancel_hat": lambda desk: desk.say(commands.Cancel, OPERATOR, lines=("hat",), reason="Sold out"),
    "refund": lambda desk: desk.give_back(hat=100),
    "extend_processing": lambda desk: desk.say(commands.ExtendProcessing, days=2),
    "ship": lambda desk: desk.ship(),
    "correct_tracking": lambda desk: desk.say(commands.CorrectTracking, carrier="Post", tracking_number="RR2"),
    "report_tracking": lambda desk: desk.say(commands.ReportTracking, status="delivered", at=NOON),
    "request_extension": lambda desk: desk.say(commands.RequestExtension, days=3, message="Still at customs"),
    "extend_protection": lambda desk: desk.extend(3),
    "confirm_receipt": lambda desk: desk.confirm(),
}

# An hour after the order got into the state; `expired` is 60 days on, so the clock of shipping answers first there.
WHAT_PEOPLE_DO = """
                place           cancel       extend_processing    ship
nothing         placed          not_found    not_found            not_found
unpaid          already_exists  wrong_state  wrong_state          wrong_state
not_paid        already_exists  wrong_state  wrong_state          wrong_state
awaiting        already_exists  cancelled    processing_extended  shipped
cancelled       already_exists  wrong_state  wrong_state          wrong_state
shipped         already_exists  wrong_state  wrong_state          wrong_state
all_disputed    already_exists  wrong_state  wrong_state          wrong_state
one_disputed    already_exists  wrong_state  wrong_state          wrong_state
one_refunding   already_exists  wrong_state  wrong_state          wrong_state
all_refunding   already_exists  wrong_state  wrong_state          wrong_state
all_settled     already_exists  wrong_state  wrong_state          wrong_state
confirmed       already_exists  wrong_state  wrong_state          wrong_state
reclaimed       already_exists  wrong_state  wrong_state          wrong_state
expired         already_exists  wrong_state  too_late             too_late
part_shipped    already_exists  wrong_state  processing_extended  shipped
part_disputed   already_exists  wrong_state  processing_extended  shipped
part_confirmed  already_exists  wrong_state  processing_extended  shipped
part_cancelled  already_exists  wrong_state  too_late             too_late
"""

AFTER_SHIPPING = """
                correct_tracking    report_tracking   request_extension    extend_protection
nothing         not_found           not_found         not_found            not_found
unpaid          wrong_state         wrong_state       wrong_state          wrong_state
not_paid        wrong_state         wrong_state       wrong_state          wrong_state
awaiting        wrong_state         wrong_state       wrong_state          wrong_state
cancelled       wrong_state         wrong_state       wrong_state          wrong_state
shipped         tracking_corrected  tracking_reported extension_requested  protection_extended
all_disputed    tracking_corrected  tracking_reported extension_requested  protection_extended
one_disputed    tracking_corrected  tracking_reported extension_requested  protection_extended
one_refunding   tracking_corrected  tracking_reported extension_requested  protection_extended
all_refunding   tracking_corrected  tracking_reported wrong_state          wrong_state
all_settled     wrong_state         tracking_reported wrong_state          wrong_state
confirmed       wrong_state         tracking_reported too_late             too_late
reclaimed       tracking_corrected  tracking_reported too_late             too_late
expired         wrong_state         tracking_reported too_late             too_late
part_shipped    tracking_corrected  tracking_reported extension_requested  protection_extended
part_disputed   tracking_corrected  tracking_reported extension_requested  protection_extended
part_confirmed  tracking_corrected  tracking_reported too_late             too_late
part_cancelled  tracking_corrected  tracking_reported extension_requested  protection_extended
"""

WITHOUT_A_QUARREL = """
                cancelled_for_him  cancel_hat        refund
nothing         not_found          not_found         not_found
unpaid          wrong_state        wrong_state       wrong_state
not_paid        wrong_state        wrong_state       wrong_state
awaiting        cancelled          lines_cancelled   refunded
cancelled       wrong_state        wrong_state       wrong_state
shipped         wrong_state        wrong_state       refunded
all_disputed    wrong_state        wrong_state       already_disputed
one_disputed    wrong_state        wrong_state       refunded
one_refunding   wrong_state        wrong_state       refunded
all_refunding   wrong_state        wrong_state       wrong_state
all_settled     wrong_state        wrong_state       wrong_state
confirmed       wrong_state        wrong_state       wrong_state
reclaimed       wrong_state        wrong_state       wrong_state
expired         wrong_state        wrong_state       wrong_state
part_shipped    lines_cancelled    lines_cancelled   refunded
part_disputed   lines_cancelled    lines_cancelled   refunded
part_confirmed  lines_cancelled    lines_cancelled   refunded
part_cancelled  wrong_state        wrong_state       wrong_state
"""

CONFIRMING = """
                confirm_receipt
nothing         not_found
unpaid          wrong_state
not_paid        wrong_state
awaiting        wrong_state
cancelled       wrong_state
shipped         receipt_confirmed+lines_released+completed
all_disputed    wrong_state
one_disputed    wrong_state
one_refunding   receipt_confirmed+lines_released
all_refunding   wrong_state
all_settled     wrong_state
confirmed       wrong_state
reclaimed       wrong_state
expired         wrong_state
part_shipped    receipt_confirmed+lines_released
part_disputed   wrong_state
part_confirmed  wrong_state
part_cancelled  receipt_confirmed+lines_released
"""


@pytest.mark.rule("R5")
@pytest.mark.rule("R6")
@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    ("state", "command", "expected"), columns(WHAT_PEOPLE_DO, AFTER_SHIPPING, WITHOUT_A_QUARREL, CONFIRMING)
)
def test_what_people_do(state: str, command: str, expected: str) -> None:
    desk = in_state(state)

    assert answer(COMMANDS[command](desk)) == expected
    assert desk.refolded() == desk.state


# Nobody does anything; so many days after the order got into the state a bell rings. What was due first comes first.
WHAT_TIME_DOES = """
                7_days  8_days     54_days  56_days            61_days
nothing         -       -          -        -                  -
unpaid          cancelled  cancelled  cancelled  cancelled  cancelled
not_paid        -       -          -        -                  -
awaiting        -       cancelled  cancelled cancelled         cancelled
cancelled       -       -          -        -                  -
shipped         -       -          -        protection_ending  protection_ending+lines_released+completed
all_disputed    -       -          -        protection_ending  protection_ending
one_disputed    -       -          -        protection_ending  protection_ending+lines_released
one_refunding   -       -          -        protection_ending  protection_ending+lines_released
all_refunding   -       -          -        -                  -
all_settled     -       -          -        -                  -
confirmed       -       -          -        -                  -
reclaimed       -       -          -        -                  -
expired         -       -          -        -                  -
part_shipped    -       lines_cancelled lines_cancelled lines_cancelled+protection_ending lines_cancelled+protection_ending+lines_released
part_disputed   -       lines_cancelled lines_cancelled lines_cancelled+protection_ending lines_cancelled+protection_ending
part_confirmed  -       lines_cancelled lines_cancelled lines_cancelled lines_cancelled
part_cancelled  -       -          protection_ending+lines_released protection_ending+lines_released protection_ending+lines_released
"""


@pytest.mark.parametrize(("state", "days", "expected"), columns(WHAT_TIME_DOES))
@pytest.mark.rule("R2")
def test_what_time_does(state: str, days: str, expected: str) -> None:
    desk = OrderDesk()
    STATES[state](desk)
    desk.wait(days=int(days.split("_")[0]))

    assert answer(desk.ring()) == expected
    assert desk.refolded() == desk.state


STATUSES = """
                status
unpaid          awaiting_payment
not_paid        cancelled
awaiting        awaiting_shipment
cancelled       cancelled
shipped         awaiting_confirmation
all_disputed    disputed
one_disputed    disputed
one_refunding   payment_processing
all_refunding   payment_processing
all_settled     completed
confirmed       completed
reclaimed       disputed
expired         completed
part_shipped    awaiting_confirmation
part_disputed   disputed
part_confirmed  awaiting_shipment
part_cancelled  payment_processing
"""


@pytest.mark.parametrize(("state", "_", "expected"), list(cells(STATUSES)))
@pytest.mark.rule("R52")
def test_the_status_is_the_first_that_holds(state: str, _: str, expected: str) -> None:
    desk = in_state(state)

    assert only(desk.place(), events.OrderRejected).status == expected


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("state", "command", "stranger"),
    [
        ("nothing", "place", Actor(role="seller", id="sam")),
        ("nothing", "place", Actor(role="buyer", id="not-bea")),
        ("awaiting", "cancel", Actor(role="seller", id="not-sam")),
        ("awaiting", "cancel", PLATFORM),
        ("awaiting", "cancel_hat", BUYER),
        ("shipped", "refund", BUYER),
        ("shipped", "refund", Actor(role="seller", id="not-sam")),
        ("awaiting", "cancel", Actor(role="buyer", id="sam")),
        ("awaiting", "extend_processing", BUYER),
        ("awaiting", "ship", Actor(role="seller", id="another")),
        ("shipped", "correct_tracking", PLATFORM),
        ("shipped", "report_tracking", SELLER),
        ("shipped", "request_extension", SELLER),
        ("shipped", "extend_protection", BUYER),
        ("shipped", "extend_protection", Actor(role="operator", id="sam")),
        ("shipped", "confirm_receipt", Actor(role="mediator", id="bea")),
        ("cancelled", "ship", BUYER),
    ],
)
def test_everybody_does_only_what_is_his(
    state: str, command: str, stranger: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = in_state(state)
    send = desk.send
    monkeypatch.setattr(desk, "send", lambda command: send(command.model_copy(update={"actor": stranger})))

    assert answer(COMMANDS[command](desk)) == "not_allowed"


# Placing


@pytest.mark.rule("R1")
def test_the_escrow_holds_what_was_paid() -> None:
    desk = OrderDesk()

    placed = only(desk.place(), events.Placed)

    assert placed.total_minor == 1_500
    assert placed.policy == newest("aliexpress")[0]
    assert placed.processing_ends_at == NOON + 7 * DAY
    assert (placed.status, placed.protection_ends_at) == ("awaiting_shipment", None)
    assert desk.money == Money(unshipped_minor=1_500)


@pytest.mark.rule("R1")
def test_only_the_platform_places_it() -> None:
    """Money that somebody only says was captured would come from nothing."""
    assert answer(OrderDesk().place(actor=BUYER)) == "not_allowed"


@pytest.mark.rule("R1")
def test_nobody_buys_from_himself() -> None:
    assert answer(OrderDesk().place(seller=BEA)) == "invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        {"payment": Payment(payment_id="pay-1", amount_minor=1_499)},
        {"payment": Payment(payment_id="pay-1", amount_minor=1_501)},
        {"lines": (HAT, HAT), "payment": Payment(payment_id="pay-1", amount_minor=1_000)},
        {"policy": "nobody-published-this"},
    ],
)
@pytest.mark.rule("R1")
def test_what_does_not_add_up_is_no_order(wrong: dict[str, Any]) -> None:
    desk = OrderDesk()

    assert answer(desk.place(**wrong)) == "invalid"
    assert desk.state is None


def test_no_order_has_the_key_of_the_mediators() -> None:
    assert answer(OrderDesk("mediators").place()) == "invalid"


def test_wrong_data_is_wrong_also_for_an_order_that_exists() -> None:
    assert answer(in_state("awaiting").place(policy="nobody-published-this")) == "invalid"


# Before shipping


@pytest.mark.rule("R5")
def test_cancelled_before_shipping_everything_goes_back() -> None:
    desk = OrderDesk()
    awaiting(desk)

    said = desk.say(commands.Cancel, reason="Found it cheaper")

    event = only(said, events.Cancelled)
    assert (event.cause, event.reason) == ("buyer", "Found it cheaper")
    assert (event.settlement_id, event.refund_minor) == ("order-1:1", 1_500)
    assert event.status == "cancelled"
    assert desk.money == Money(refunded_minor=1_500)


@pytest.mark.rule("R5")
def test_cancelled_is_final_and_the_refund_runs_beside_it() -> None:
    desk = in_state("cancelled")

    assert desk.refunded("order-1:1", 1_500) == []
    assert only(desk.confirm(), events.OrderRejected).status == "cancelled"


@pytest.mark.rule("R5b")
def test_shipped_in_the_last_millisecond() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.wait(days=7)

    assert answer(desk.ship()) == "shipped"


@pytest.mark.rule("R5b")
def test_shipped_a_millisecond_late_the_order_is_cancelled_already() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.wait(days=7, milliseconds=1)

    said = desk.ship()

    assert answer(said) == "cancelled+too_late"
    assert only(said, events.Cancelled).cause == "not_shipped"
    assert only(said, events.Cancelled).refund_minor == 1_500
    assert only(said, events.OrderRejected).details == {"lost_at": rfc3339(NOON + 7 * DAY)}


@pytest.mark.rule("R5b")
def test_the_seller_gets_more_time_to_ship_twice() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.wait(days=6)

    first = only(desk.say(commands.ExtendProcessing, days=30), events.ProcessingExtended)
    second = only(desk.say(commands.ExtendProcessing, days=1), events.ProcessingExtended)
    third = desk.say(commands.ExtendProcessing, days=1)

    assert first.processing_ends_at == NOON + 37 * DAY
    assert second.processing_ends_at == NOON + 38 * DAY
    assert answer(third) == "limit_exceeded"
    desk.wait(days=32)
    assert answer(desk.ship()) == "shipped"


@pytest.mark.rule("R5b")
def test_more_time_to_ship_than_the_policy_gives_is_refused() -> None:
    desk = OrderDesk()
    awaiting(desk)

    refused = only(desk.say(commands.ExtendProcessing, days=31), events.OrderRejected)

    assert (refused.code, refused.details) == ("limit_exceeded", {"max_days": 30})


# Protection


@pytest.mark.rule("R9")
def test_shipping_starts_protection() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.wait(days=2)

    event = only(desk.ship(), events.Shipped)

    assert (event.carrier, event.tracking_number) == ("Post", "RR1")
    assert event.protection_ends_at == event.disputable_until == NOON + 62 * DAY
    assert event.disputable_from == event.shipped_at == NOON + 2 * DAY
    assert event.reminder_at == NOON + 57 * DAY


@pytest.mark.rule("R3")
def test_every_event_tells_when_protection_ends() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.extend(10)
    desk.close("decided", 100)
    desk.say(commands.Cancel)
    desk.confirm()
    desk.refunded()

    told = [message for message in desk.history if getattr(message, "topic", None) == "order.events"]

    ends = [message.model_dump()["protection_ends_at"] for message in told]
    assert ends == [None, *[NOON + 60 * DAY] * 2, *[NOON + 70 * DAY] * 3, *[NOON] * 3]
    assert [message.model_dump()["status"] for message in told] == [
        "awaiting_shipment",
        "awaiting_confirmation",
        "disputed",
        "disputed",
        "payment_processing",
        "payment_processing",
        "payment_processing",
        "payment_processing",
        "completed",
    ]


@pytest.mark.rule("R4")
def test_the_seller_extends_protection_in_its_last_millisecond() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=60)

    event = only(desk.extend(30), events.ProtectionExtended)

    assert event.protection_ends_at == event.disputable_until == NOON + 90 * DAY
    assert event.reminder_at == NOON + 85 * DAY


@pytest.mark.rule("R4")
def test_protection_that_is_over_is_not_extended() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=60, milliseconds=1)

    said = desk.extend(1)

    assert answer(said) == "protection_ending+lines_released+too_late"
    assert only(said, events.OrderRejected).details == {"lost_at": rfc3339(NOON + 60 * DAY)}


@pytest.mark.rule("R4")
def test_protection_has_a_limit_a_request_and_one_in_all() -> None:
    desk = OrderDesk()
    shipped(desk)

    refusals = [only(desk.extend(31), events.OrderRejected)]
    desk.extend(30)
    desk.extend(25)
    refusals.append(only(desk.extend(6), events.OrderRejected))
    refusals.append(only(desk.say(commands.RequestExtension, days=6), events.OrderRejected))
    desk.extend(5)
    refusals.append(only(desk.extend(1), events.OrderRejected))

    assert {refusal.code for refusal in refusals} == {"limit_exceeded"}
    assert [refusal.details for refusal in refusals] == [{"max_days": days} for days in (30, 5, 5, 0)]
    assert desk.state.protection_ends_at == NOON + 120 * DAY


@pytest.mark.rule("R4")
def test_asking_for_an_extension_extends_nothing() -> None:
    desk = OrderDesk()
    shipped(desk)

    event = only(desk.say(commands.RequestExtension, days=7, message="At customs"), events.ExtensionRequested)

    assert (event.days, event.message) == (7, "At customs")
    assert event.protection_ends_at == desk.state.protection_ends_at == NOON + 60 * DAY


@pytest.mark.rule("R4b")
def test_both_parties_are_told_before_protection_ends() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=55)
    assert answer(desk.ring()) == "-"
    desk.wait(milliseconds=1)

    event = only(desk.ring(), events.ProtectionEnding)

    assert (event.held_minor, event.disputed_minor) == (500, 1_000)
    assert event.protection_ends_at == event.disputable_until == NOON + 60 * DAY
    desk.wait(days=1)
    assert answer(desk.ring()) == "-"


@pytest.mark.rule("R4b")
def test_an_extension_moves_the_reminder_and_repeats_it() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=50)
    desk.extend(10)
    desk.wait(days=6)
    assert answer(desk.ring()) == "-"
    desk.wait(days=10)
    assert answer(desk.ring()) == "protection_ending"

    extended = only(desk.extend(10), events.ProtectionExtended)

    assert extended.reminder_at == NOON + 75 * DAY
    desk.wait(days=10)
    assert answer(desk.ring()) == "protection_ending"


@pytest.mark.rule("R4b")
def test_a_short_extension_is_not_reminded_of_at_once() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=59)
    desk.ring()

    extended = only(desk.extend(2), events.ProtectionExtended)

    assert extended.reminder_at is None
    desk.wait(days=2)
    assert answer(desk.ring()) == "-"


@pytest.mark.rule("R4b")
def test_protection_shorter_than_its_notice_is_told_of_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, protection=Duration(n=3, unit="days"))
    desk = OrderDesk()
    shipped(desk)
    extended = only(desk.extend(1), events.ProtectionExtended)
    desk.wait(milliseconds=1)

    assert extended.reminder_at == NOON
    assert answer(desk.ring()) == "protection_ending"


@pytest.mark.rule("R2")
@pytest.mark.rule("C15")
def test_at_the_end_of_protection_the_seller_is_paid() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=60, milliseconds=1)

    event = only(desk.ring(), events.LinesReleased)

    assert (event.cause, event.final, event.settlement_id) == ("protection_ended", False, "order-1:1")
    assert [(line.line_id, line.amount_minor) for line in event.lines] == [("hat", 500)]
    assert event.release_minor == 500
    assert desk.money == Money(disputed_minor=1_000, released_minor=500)


@pytest.mark.rule("R6")
def test_confirming_receipt_ends_protection_and_pays_the_seller() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=3)

    said = desk.confirm()

    event, released = only(said, events.ReceiptConfirmed), only(said, events.LinesReleased)
    assert event.protection_ends_at == NOON + 3 * DAY
    assert event.disputable_until == NOON + 18 * DAY
    assert (released.cause, released.release_minor, released.final) == ("receipt_confirmed", 1_500, False)
    assert only(said, events.Completed).release_minor == 1_500
    assert list(deadlines(desk.state)) == []
    assert desk.money == Money(released_minor=1_500)


@pytest.mark.rule("R9")
def test_what_the_carrier_reports_changes_nothing() -> None:
    desk = OrderDesk()
    shipped(desk)
    before = desk.state

    event = only(COMMANDS["report_tracking"](desk), events.TrackingReported)

    assert (event.tracking_status, event.at, event.status) == ("delivered", NOON, "awaiting_confirmation")
    assert desk.state == replace(before, parcels={"1": Parcel(NOON, delivered=True)})


def test_one_alarm_for_the_next_thing_that_happens() -> None:
    desk = OrderDesk()
    desk.place()
    desk.ship()
    alarms = [message for message in desk.history if isinstance(message, Schedule)]
    assert [(alarm.name, alarm.due_at) for alarm in alarms] == [("processing_ends", NOON + 7 * DAY)]
    desk.wait(days=8)

    (alarm,) = desk.ring()

    assert isinstance(alarm, Schedule)
    assert (alarm.name, alarm.due_at) == ("protection_reminder", NOON + 55 * DAY)


@pytest.mark.parametrize("state", [confirmed, expired, all_refunding])
def test_where_nothing_is_left_to_wait_for_no_deadline_is_held(state: Any) -> None:
    desk = OrderDesk()
    state(desk)

    assert list(deadlines(desk.state)) == []


def test_a_command_sent_again_has_one_effect() -> None:
    desk = OrderDesk()
    shipped(desk)
    wish = commands.ExtendProtection(order_id="order-1", actor=SELLER, days=5)

    first, again = desk.send(wish, id="c1"), desk.send(wish, id="c1")

    assert (answer(first), answer(again)) == ("protection_extended", "repeated")
    assert desk.state.protection_ends_at == NOON + 65 * DAY


def test_every_event_belongs_to_its_order() -> None:
    desk = OrderDesk("another")
    desk.place(OrderLine(line_id="1", title="One", quantity=1, amount_minor=1))

    assert {message.order_id for message in desk.history if isinstance(message, Event)} == {"another"}
