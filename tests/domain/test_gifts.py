"""Lines that are worth nothing: part of an order, but all that can be asked for them is a replacement (R76)."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.common import FrozenLine, OrderLine, Payment, Terms
from schemas.dispute import events as dispute
from schemas.order import events as order
from services.notification.subscriptions import recipients
from services.order.lines import Money, split
from tests.domain.dispute_desk import DisputeDesk, new_parcel, refund, rejection
from tests.domain.mediation_room import Room
from tests.domain.notification_samples import opened
from tests.domain.order_desk import HAT, SHIRTS, OrderDesk, answer, only, under
from tests.domain.table import outcome
from tests.domain.test_notification_letters import letters

pytestmark = pytest.mark.rule("R76")

SOCKS = OrderLine(line_id="socks", title="A pair of socks", quantity=2, amount_minor=0)
PIN = OrderLine(line_id="pin", title="A pin", quantity=1, amount_minor=100)
FROZEN_SOCKS = FrozenLine(line_id="socks", quantity=2, amount_minor=0, released=False)
FOR_NOTHING = Terms(kind="replacement", refund_minor=0)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> OrderDesk:
    """A hat with socks for nothing, shipped under rules that know replacements."""
    under(monkeypatch, replacement=True)
    desk = OrderDesk()
    desk.place(HAT, SOCKS)
    desk.ship()
    return desk


def test_an_order_cannot_be_a_gift() -> None:
    with pytest.raises(ValidationError):
        Payment(payment_id="pay-1", amount_minor=0)
    lines: dict[str, Any] = {"lines": (SOCKS,), "payment": Payment(payment_id="pay-1", amount_minor=1)}
    assert answer(OrderDesk().place(**lines)) == "invalid"


@pytest.mark.parametrize("kind", ["refund", "return_and_refund"])
def test_no_terms_but_a_replacement_are_without_money(kind: str) -> None:
    with pytest.raises(ValidationError):
        Terms(kind=kind, refund_minor=0)  # type: ignore[arg-type] # parametrized
    with pytest.raises(ValidationError):
        Terms(kind="none", refund_minor=1)


# Of the lines of an order, of which kind and over how much the claim is, and what is said to it.
CLAIMS = [
    (["socks"], "refund", 1, "amount_exceeds"),
    (["socks"], "return_and_refund", 1, "amount_exceeds"),
    (["socks"], "replacement", 1, "amount_exceeds"),
    (["socks"], "replacement", 0, "lines_frozen"),
    (["hat"], "replacement", 0, "invalid"),
    (["hat"], "replacement", 500, "lines_frozen"),
    (["hat", "socks"], "replacement", 0, "invalid"),
    (["hat", "socks"], "refund", 500, "lines_frozen"),
    (["hat", "socks"], "refund", 501, "amount_exceeds"),
    ([], "refund", 500, "lines_frozen"),
]


@pytest.mark.parametrize(("lines", "kind", "minor", "expected"), CLAIMS)
def test_what_is_claimed_over_gifts(desk: OrderDesk, lines: list[str], kind: str, minor: int, expected: str) -> None:
    assert answer(desk.claim(*lines, kind=kind, refund_minor=minor)) == expected
    assert desk.refolded() == desk.state


def test_a_gift_alone_can_only_be_replaced_and_says_so(desk: OrderDesk) -> None:
    refused = only(desk.claim("socks", refund_minor=1), order.FreezeRefused)

    assert (refused.message, refused.details) == ("This cost nothing: it can only be replaced.", {"max_minor": 0})


def test_without_replacements_a_gift_is_not_claimed() -> None:
    desk = OrderDesk()
    desk.place(HAT, SOCKS)
    desk.ship()

    assert answer(desk.claim("socks", kind="replacement", refund_minor=0)) == "not_allowed"


def test_a_dispute_over_a_gift_settles_nothing(desk: OrderDesk) -> None:
    desk.claim("socks", kind="replacement", refund_minor=0)

    settled = only(desk.close("replaced"), order.Settled)

    assert (settled.refund_minor, settled.payout_minor, settled.chargeback_minor) == (0, 0, 0)
    assert [(line.line_id, line.refund_minor, line.release_minor) for line in settled.lines] == [("socks", 0, 0)]
    assert desk.money == Money(held_minor=500)
    assert answer(desk.claim("socks", kind="replacement", refund_minor=0, dispute_id="d2")) == "wrong_state"


def test_a_gift_that_is_left_is_protected_to_the_end_and_nobody_is_reminded(desk: OrderDesk) -> None:
    desk.claim("hat", refund_minor=500)
    desk.close("decided", 500)
    desk.refunded(refund_minor=500)
    assert desk.state.protects
    desk.wait(days=58)
    assert answer(desk.ring()) == "-"
    desk.wait(days=3)

    said = desk.ring()

    assert answer(said) == "lines_released+completed"
    assert only(said, order.LinesReleased).release_minor == 0
    assert recipients(only(said, order.LinesReleased)) == []


def test_the_receipt_of_a_gift_is_confirmed_like_any(desk: OrderDesk) -> None:
    desk.claim("hat", refund_minor=500)
    desk.close("decided", 500)
    desk.refunded(refund_minor=500)

    assert answer(desk.confirm()) == "receipt_confirmed+lines_released+completed"
    assert answer(desk.claim("socks", kind="replacement", refund_minor=0, dispute_id="d2")) == "lines_frozen"


def test_a_refund_is_shared_among_what_cost_something(desk: OrderDesk) -> None:
    desk.claim()
    disputed = desk.state.disputed("d1")

    assert [(share.line_id, share.refund_minor) for share in split(disputed, 333)] == [("hat", 333), ("socks", 0)]
    assert [share.refund_minor for share in split(disputed[1:], 333)] == [0]


def test_an_odd_cent_is_no_gifts() -> None:
    """Neither of a line that was one from the beginning, nor of one that was given back in full."""
    desk = OrderDesk()
    desk.place(SOCKS, PIN, HAT, SHIRTS)
    desk.ship()
    desk.give_back(pin=100)
    desk.claim(refund_minor=1_000)

    settled = only(desk.close("decided", 1_000), order.Settled)

    assert [line.refund_minor for line in settled.lines] == [0, 0, 334, 666]


# The dispute over it


def over_socks() -> DisputeDesk:
    desk = DisputeDesk()
    desk.request(FOR_NOTHING)
    desk.freeze(lines=(FROZEN_SOCKS,))
    return desk


def test_nothing_else_is_offered_than_a_replacement_for_nothing() -> None:
    desk = over_socks()

    assert outcome(desk.offer(refund(1))) == "amount_exceeds"
    assert outcome(desk.offer(new_parcel(1))) == "amount_exceeds"
    assert outcome(desk.offer(FOR_NOTHING)) == "offer_made"
    assert outcome(desk.modify(terms=refund(1))) == "amount_exceeds"


def test_where_money_is_claimed_a_replacement_names_it() -> None:
    desk = DisputeDesk()
    desk.open()

    assert rejection(desk.offer(FOR_NOTHING)).code == "invalid"
    assert rejection(desk.modify(terms=FOR_NOTHING)).code == "invalid"


def test_a_gift_that_is_not_replaced_is_nobodys_money() -> None:
    desk = over_socks()
    said = desk.past("seller_first_response")
    assert outcome(said) == "replacement_awaited"

    [closed] = [one for one in desk.past("replacement_ship") if isinstance(one, dispute.DisputeClosed)]

    assert (closed.refund_minor, closed.release_minor) == (0, 0)


def test_a_replacement_that_failed_goes_to_a_mediator_for_nothing() -> None:
    desk = over_socks()
    desk.past("seller_first_response")
    desk.ship_replacement()

    [escalated] = [one for one in desk.escalate() if isinstance(one, dispute.DisputeEscalated)]

    assert (escalated.claimed_minor, escalated.offers[0].terms) == (0, FOR_NOTHING)


# The mediator


def test_a_mediator_gives_no_money_for_a_gift() -> None:
    room = Room()
    room.hear(escalated())
    room.assign()

    assert outcome(room.decide(1, evidence_ids=())) == "amount_exceeds"
    assert outcome(room.decide(0, evidence_ids=())) == "decided+seat"


def escalated() -> dispute.DisputeEscalated:
    desk = over_socks()
    desk.reject()
    [found] = [one for one in desk.escalate() if isinstance(one, dispute.DisputeEscalated)]
    return found


# The letters


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "You ask for a replacement."), ("de", "Sie verlangen eine Ersatz")]
)
def test_a_letter_about_a_gift_names_no_money(language: str, sentence: str) -> None:
    event = opened(terms=FOR_NOTHING, claimed_minor=0, lines=(FROZEN_SOCKS,))

    body = letters(event, language)["buyer"].text

    assert sentence in body
    assert "EUR" not in body
