"""What is in no parcel yet (R66): it follows in time, is cancelled or given back, and somebody is told what it costs."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.common import OrderLine
from schemas.instants import rfc3339
from schemas.order import commands, events
from schemas.wire import Actor
from services.order.lines import Money
from tests.domain.order_desk import BUYER, OPERATOR, SELLER, OrderDesk, answer, only, under
from tests.domain.table import NOON
from tests.domain.test_parcels import HAT, parts, placed, two_cups_shipped

pytestmark = pytest.mark.rule("R66")

DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)


@pytest.mark.rule("R5b")
@pytest.mark.parametrize("late", [timedelta(0), MILLISECOND])
def test_what_is_in_no_parcel_in_time_goes_back_and_the_rest_goes_on(late: timedelta) -> None:
    desk = two_cups_shipped()
    desk.now = NOON + 7 * DAY + late

    said = desk.parcel("hat")

    if not late:
        assert answer(said) == "shipped"
        return
    assert answer(said) == "lines_cancelled+too_late"
    cancelled = only(said, events.LinesCancelled)
    assert (cancelled.cause, cancelled.reason, cancelled.refund_minor) == ("not_shipped", None, 602 + 500)
    assert (parts(cancelled), cancelled.status) == ([("cups", 3, 5), ("hat", 0, 0)], "payment_processing")
    assert only(said, events.OrderRejected).details == {"lost_at": rfc3339(NOON + 7 * DAY)}
    assert desk.money == Money(held_minor=401, refunded_minor=1_102)
    desk.refunded(cancelled.settlement_id, 1_102)
    assert answer(desk.confirm()) == "receipt_confirmed+lines_released+completed"
    assert desk.refolded() == desk.state


def test_where_nothing_is_held_any_more_it_is_completed_with_the_refund() -> None:
    desk = two_cups_shipped()
    desk.confirm()
    desk.wait(days=8)

    cancelled = only(desk.ring(), events.LinesCancelled)

    completed = only(desk.refunded(cancelled.settlement_id, 1_102), events.Completed)
    assert (completed.refund_minor, completed.release_minor) == (1_102, 401)


@pytest.mark.rule("R76")
def test_a_gift_that_never_follows_holds_nothing_up() -> None:
    desk = OrderDesk()
    desk.place(HAT, OrderLine(line_id="pin", title="A pin", quantity=1, amount_minor=0))
    desk.parcel("hat")
    desk.confirm()
    desk.wait(days=8)

    assert answer(desk.ring()) == "lines_cancelled+completed"


@pytest.mark.rule("R5b")
def test_more_time_to_ship_is_there_for_the_rest_too() -> None:
    desk = placed()
    desk.say(commands.ExtendProcessing, days=1)
    desk.parcel(("cups", 2))

    second = only(desk.say(commands.ExtendProcessing, days=2), events.ProcessingExtended)

    assert (second.processing_ends_at, second.status) == (NOON + 10 * DAY, "awaiting_confirmation")
    assert answer(desk.say(commands.ExtendProcessing, days=1)) == "limit_exceeded"
    desk.wait(days=10)
    assert answer(desk.parcel()) == "shipped"
    assert answer(desk.say(commands.ExtendProcessing, days=1)) == "wrong_state"


@pytest.mark.rule("R64")
@pytest.mark.parametrize(
    ("actor", "lines", "expected"),
    [
        (SELLER, None, [("cups", 3, 5), ("hat", 0, 0)]),
        (OPERATOR, ("cups",), [("cups", 3, 5)]),
        (OPERATOR, ("hat",), [("hat", 0, 0)]),
        (SELLER, ("hat", "cups"), [("cups", 3, 5), ("hat", 0, 0)]),
        (BUYER, None, "wrong_state"),
        (BUYER, ("hat",), "not_allowed"),
        (SELLER, ("scarf",), "not_found"),
    ],
)
def test_what_is_in_no_parcel_the_seller_may_cancel(actor: Actor, lines: Any, expected: Any) -> None:
    desk = two_cups_shipped()

    said = desk.say(commands.Cancel, actor, lines=lines, reason="Sold out")

    if isinstance(expected, str):
        assert answer(said) == expected
    else:
        assert parts(only(said, events.LinesCancelled)) == expected
        assert only(said, events.LinesCancelled).reason == "Sold out"
        assert answer(desk.say(commands.Cancel, actor, lines=lines, reason="Again")) == "wrong_state"
    assert desk.refolded() == desk.state


@pytest.mark.rule("R64")
def test_of_a_line_that_is_shipped_nothing_is_cancelled() -> None:
    desk = placed()
    desk.parcel("cups")

    assert answer(desk.say(commands.Cancel, SELLER, lines=("cups", "hat"), reason="Sold out")) == "wrong_state"
    assert answer(desk.say(commands.Cancel, SELLER, lines=("hat",), reason="Sold out")) == "lines_cancelled"


@pytest.mark.rule("R64")
def test_money_is_given_back_of_what_is_shipped_and_of_what_is_not() -> None:
    """The highest-numbered pieces first, so first of what is not."""
    desk = two_cups_shipped()

    given = only(desk.give_back(cups=700), events.LinesRefunded)

    assert given.status == "payment_processing"
    assert desk.money == Money(unshipped_minor=500, held_minor=303, refunded_minor=700)
    too_much = only(desk.give_back(cups=304), events.OrderRejected)
    assert (too_much.code, too_much.details) == ("amount_exceeds", {"max_minor": 303})
    desk.parcel("cups")
    assert desk.money == Money(unshipped_minor=500, held_minor=303, refunded_minor=700)


@pytest.mark.rule("R68")
def test_the_seller_is_reminded_of_what_would_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, reminders=True)
    desk = two_cups_shipped()
    desk.wait(days=5, milliseconds=1)

    one = only(desk.ring(), events.OrderReminded)

    assert (one.otherwise, one.refund_minor, one.release_minor) == ("lines_cancelled", 1_102, 0)
    assert answer(desk.ring()) == "-"
    desk.wait(days=2)
    assert only(desk.ring(), events.LinesCancelled).refund_minor == one.refund_minor


@pytest.mark.rule("R68")
def test_of_gifts_that_are_left_nobody_is_reminded(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, reminders=True)
    desk = OrderDesk()
    desk.place(HAT, OrderLine(line_id="pin", title="A pin", quantity=1, amount_minor=0))
    desk.parcel("hat")
    desk.wait(days=6)

    assert answer(desk.ring()) == "-"
