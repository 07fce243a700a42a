"""The parcel was delivered: where the policy says so, protection ends soon after (R67)."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.order import commands, events
from schemas.policy import Duration
from schemas.wire import Message
from services.notification.subscriptions import recipients
from tests.domain.dispute_desk import DisputeDesk
from tests.domain.order_desk import OrderDesk, answer, only, shipped, under
from tests.domain.table import NOON, newest, outcome
from tests.domain.test_notification_letters import letters

pytestmark = [pytest.mark.rule("R67"), pytest.mark.usefixtures("either_version")]

DAY, MINUTE, MILLISECOND = timedelta(days=1), timedelta(minutes=1), timedelta(milliseconds=1)


def report(desk: OrderDesk, status: Any = "delivered", **at: Any) -> list[Message]:
    return desk.say(commands.ReportTracking, status=status, at=at.get("at", desk.now))


@pytest.fixture
def desk(either_version: None, monkeypatch: pytest.MonkeyPatch) -> OrderDesk:
    """Shipped at noon under rules that end protection 14 days after delivery; 60 days else."""
    under(monkeypatch, release_after_delivery=Duration(n=14, unit="days"))
    desk = OrderDesk()
    shipped(desk)
    return desk


def test_protection_ends_so_long_after_the_report(desk: OrderDesk) -> None:
    desk.wait(days=10)

    said = report(desk, at=NOON + 8 * DAY)

    assert answer(said) == "tracking_reported+protection_shortened"
    shortened = only(said, events.ProtectionShortened)
    assert shortened.protection_ends_at == shortened.disputable_until == NOON + 24 * DAY
    assert (shortened.delivered_at, shortened.reminder_at) == (NOON + 8 * DAY, NOON + 19 * DAY)
    assert only(said, events.TrackingReported).shortens_protection
    desk.wait(days=9, milliseconds=1)
    assert answer(desk.ring()) == "protection_ending"
    desk.wait(days=5)
    assert answer(desk.ring()) == "lines_released+completed"
    assert desk.refolded() == desk.state


def test_under_the_old_rules_a_report_moves_nothing() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=10)

    assert answer(report(desk)) == "tracking_reported"
    assert desk.state.protection_ends_at == NOON + 60 * DAY


def test_an_end_that_is_nearer_stays(desk: OrderDesk) -> None:
    desk.wait(days=46)
    assert answer(report(desk)) == "tracking_reported"
    assert desk.state.protection_ends_at == NOON + 60 * DAY


@pytest.mark.parametrize("status", ["in_transit", "returned", "failed"])
def test_only_what_is_delivered_counts(desk: OrderDesk, status: str) -> None:
    assert answer(report(desk, status)) == "tracking_reported"
    assert answer(report(desk)) == "tracking_reported+protection_shortened"


def test_said_again_it_takes_nothing_from_what_the_seller_granted(desk: OrderDesk) -> None:
    report(desk)
    desk.wait(days=1)
    desk.extend(30)

    assert answer(report(desk)) == "tracking_reported"
    assert desk.state.protection_ends_at == NOON + 44 * DAY


def test_where_there_is_no_time_for_a_reminder_the_event_is_the_reminder(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, release_after_delivery=Duration(n=3, unit="days"))
    desk = OrderDesk()
    shipped(desk)

    assert only(report(desk), events.ProtectionShortened).reminder_at is None
    desk.wait(days=3)
    assert answer(desk.ring()) == "-"
    desk.wait(milliseconds=1)
    assert answer(desk.ring()) == "lines_released+completed"


def test_what_is_over_is_not_shortened(desk: OrderDesk) -> None:
    desk.claim("shirts")
    desk.wait(days=61)
    assert answer(report(desk)) == "protection_ending+lines_released+tracking_reported"
    desk.close("decided", 100)
    assert answer(report(desk)) == "tracking_reported"


def test_a_confirmed_receipt_stays_the_end(desk: OrderDesk) -> None:
    desk.confirm()
    assert answer(report(desk)) == "tracking_reported"


def test_under_a_dispute_the_last_moment_to_cancel_it_moves_too(desk: OrderDesk) -> None:
    desk.claim()
    shortened = only(report(desk), events.ProtectionShortened)
    quarrel = DisputeDesk(newest()[0])
    quarrel.open()

    quarrel.hear(shortened)

    quarrel.wait(days=14, milliseconds=1)
    assert outcome(quarrel.cancel("reopenable")).endswith("consequence_changed")
    assert outcome(quarrel.cancel("released_to_seller")) == "cancelled+closed"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (-MILLISECOND, "invalid"),
        (timedelta(0), "tracking_reported"),
        (DAY + 5 * MINUTE, "tracking_reported"),
        (DAY + 5 * MINUTE + MILLISECOND, "invalid"),
    ],
)
def test_a_report_is_about_an_instant_between_shipping_and_now(at: timedelta, expected: str) -> None:
    """Shipped at noon, reported a day later."""
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=1)

    assert answer(report(desk, at=NOON + at)) == expected


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "Protection therefore ends earlier"), ("de", "endet daher früher")]
)
def test_both_are_told_when_it_is_set_and_once(desk: OrderDesk, language: str, sentence: str) -> None:
    said = report(desk)

    assert recipients(only(said, events.TrackingReported)) == []
    written = letters(only(said, events.ProtectionShortened), language)
    assert written.keys() == {"buyer", "seller"}
    assert all(sentence in letter.text for letter in written.values())
