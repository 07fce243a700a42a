"""The payment service moved another amount than it was asked to, and an operator says how much it was (N7, R62)."""

from typing import Any

import pytest

from schemas.payments.commands import PayBack
from schemas.refund.commands import ResolveRefund
from schemas.refund.events import (
    ExcessReturned,
    MovedInPart,
    MovedTooMuch,
    RefundReversed,
    RefundSettled,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.wire import Actor
from services.refund.ledger import Entry, entry
from tests.domain.refund_desk import OPERATOR, RefundDesk, in_state
from tests.domain.table import outcome
from tests.domain.test_refund import events
from tests.domain.test_refund_returns import queued

pytestmark = [pytest.mark.rule("R62"), pytest.mark.rule("N7")]

ESCROW, BEA, SAM, EXCESS = "escrow:order-1", "buyer:bea", "seller:sam", "platform:excess"


def booked(desk: RefundDesk) -> list[Entry]:
    """All but the capture."""
    return [made for one in desk.history if (made := entry(one))][1:]


def test_what_moved_is_booked_and_the_rest_is_a_movement_of_its_own() -> None:
    """4,850 of 5,000: the bank kept its fee."""
    desk = in_state("placed")
    desk.cancel(5_000)
    desk.paid(4_850)

    said = desk.resolve(reference="bank-1", amount_minor=4_850)

    (part,) = events(said, MovedInPart)
    assert (part.amount_minor, part.rest_minor, part.payment_key, part.party_id) == (4_850, 150, "s1/refund", "bea")
    assert (part.actor, part.stage, part.note, part.although_unknown) == (
        OPERATOR,
        "requested",
        "By bank transfer",
        False,
    )
    (submitted,) = events(said, RefundSubmitted)
    assert (submitted.payment_key, submitted.amount_minor, submitted.asking) == ("s1/refund~2", 150, False)
    assert (submitted.attempt, submitted.attempts_max) == (2, 9)
    (call,) = events(said, PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~2", 150)
    assert booked(desk) == [Entry("EUR", ESCROW, BEA, 4_850)]
    assert events(desk.history, RefundSettled) == [], "the buyer has not all of it"

    (settled,) = events(desk.paid(150, key="s1/refund~2", reference="bank-2"), RefundSettled)
    assert settled.refund_minor == 150
    assert booked(desk) == [Entry("EUR", ESCROW, BEA, 4_850), Entry("EUR", ESCROW, BEA, 150)]
    assert desk.paid(4_850) == [], "said before"
    assert desk.paid(150, key="s1/refund~2", reference="bank-2") == [], "said before"


@pytest.mark.parametrize(
    ("leg", "from_", "to"), [("refund", ESCROW, BEA), ("payout", ESCROW, SAM), ("chargeback", SAM, ESCROW)]
)
def test_every_leg_is_booked_its_own_way(leg: str, from_: str, to: str) -> None:
    less, more = in_state("placed"), in_state("placed")
    for desk, minor in ((less, 690), (more, 710)):
        desk.settle(700, 700, 700)
        desk.paid(minor, key=f"s1/{leg}")
        desk.resolve(reference="bank-1", amount_minor=minor, leg=leg)
    assert booked(less) == [Entry("EUR", from_, to, 690)]
    beyond = Entry("EUR", SAM, EXCESS, 10) if leg == "chargeback" else Entry("EUR", EXCESS, to, 10)
    assert booked(more) == [Entry("EUR", from_, to, 700), beyond]

    more.reversed(10, key=f"s1/{leg}")

    assert booked(more)[2] == Entry("EUR", beyond.to_account, beyond.from_account, 10)
    assert events(more.history, ReviewNeeded)[-1].reason == "moved_too_much"


def test_a_part_of_the_rest_is_a_part_again() -> None:
    desk = in_state("placed")
    desk.cancel(5_000)
    for number, (minor, rest_minor) in enumerate([(4_000, 1_000), (900, 100)], 1):
        key = "s1/refund" if number == 1 else "s1/refund~2"
        desk.paid(minor, key=key, reference=f"bank-{number}")
        (part,) = events(desk.resolve(reference=f"bank-{number}", amount_minor=minor), MovedInPart)
        assert (part.payment_key, part.rest_minor) == (key, rest_minor)
    assert outcome(desk.paid(100, key="s1/refund~3", reference="bank-3")) == "settled"
    assert [one.amount_minor for one in booked(desk)] == [4_000, 900, 100]


def test_what_was_paid_by_hand_in_part_is_no_movement_of_the_providers() -> None:
    """He had said no, 4.00 were paid in cash: 6.00 are tried again, and what he still says of all of it is looked at."""
    desk = in_state("final_failure")
    assert outcome(desk.resolve(amount_minor=400)) == "moved_in_part+submitted+refund"
    (review,) = events(desk.paid(1_000), ReviewNeeded)
    assert (review.reason, review.payment_key) == ("settled_again", "s1/refund")


def test_who_does_not_know_whether_it_moved_says_so_of_a_part_too() -> None:
    desk = in_state("no_answer")
    assert outcome(desk.resolve(amount_minor=400)) == "wrong_state"
    (part,) = events(desk.resolve(amount_minor=400, although_unknown=True), MovedInPart)
    assert part.although_unknown


def test_of_what_came_back_a_part_may_move_too() -> None:
    desk = in_state("settled")
    desk.reversed(400, reference="back-1")
    (part,) = events(desk.resolve(amount_minor=300), MovedInPart)
    assert (part.payment_key, part.rest_minor) == ("s1/refund~2", 100)
    assert outcome(desk.paid(100, key="s1/refund~3", reference="bank-3")) == "settled"


def test_a_part_may_come_back_too() -> None:
    desk = in_state("in_part")
    assert outcome(desk.reversed(999)) == "review_needed", "while the rest is on its way: a person"
    desk.paid(1, key="s1/refund~2", reference="bank-2")
    (back,) = events(desk.reversed(999, reference="back-2"), RefundReversed)
    assert (back.payment_key, back.amount_minor) == ("s1/refund", 999)
    (call,) = events(desk.retry(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~3", 999)


def test_while_the_money_is_on_hold_the_rest_waits() -> None:
    desk = in_state("in_part_on_hold")
    (call,) = events(desk.unhold(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~2", 1)
    assert outcome(desk.failed(key="s1/refund~2")) == "failed", "an answer to that call"


@pytest.mark.parametrize(
    ("state", "said"),
    [("mismatch", 999), ("final_failure", None), ("used_up", None), ("came_back", None), ("on_hold", None)],
)
def test_more_than_was_to_be_moved_is_believed_if_the_provider_said_so(state: str, said: int | None) -> None:
    (refusal,) = in_state(state).resolve(amount_minor=1_001)
    assert getattr(refusal, "code", None) == "amount_exceeds"
    assert getattr(refusal, "details", None) == {"max_minor": 1_000}
    assert outcome(in_state("paid_more").resolve(amount_minor=1_002)) == "amount_exceeds", "not over that much"


def test_who_does_not_wait_for_the_answer_says_so_of_more_too() -> None:
    desk = in_state("paid_more")
    desk.retry()
    assert outcome(desk.resolve(amount_minor=1_001)) == "wrong_state"
    (settled,) = events(desk.resolve(amount_minor=1_001, although_unknown=True), RefundSettled)
    assert settled.although_unknown
    assert desk.paid(1_001) == [], "what he is asked anew he had said"


def test_the_movement_keeps_the_providers_name() -> None:
    (settled,) = events(in_state("paid_more").resolve(reference="page 7", amount_minor=1_001), RefundSettled)
    assert settled.provider_reference == "bank-1"


def test_more_in_another_currency_is_not_believed() -> None:
    desk = in_state("submitted")
    desk.paid(1_001, "JPY")
    assert outcome(desk.resolve(amount_minor=1_001)) == "amount_exceeds"


def test_what_moved_too_much_waits_until_somebody_has_looked() -> None:
    desk = in_state("paid_more")

    said = desk.resolve(reference="bank-1", amount_minor=1_001)

    (settled,), (too_much,), (review,) = (events(said, one) for one in (RefundSettled, MovedTooMuch, ReviewNeeded))
    assert (settled.refund_minor, too_much.amount_minor, too_much.party_id) == (1_000, 1, "bea")
    assert (settled.note, too_much.note) == (None, "By bank transfer"), "the provider's own movement: by no other means"
    assert (review.reason, review.amount_minor, review.provider_amount_minor) == ("moved_too_much", 1_000, 1_001)
    assert review.provider_reference == "bank-1"
    assert outcome(desk.retry()) == "wrong_state", "nothing is owed"
    assert outcome(desk.acknowledge()) == "acknowledged"
    assert outcome(desk.acknowledge()) == "wrong_state"
    assert booked(desk)[1] == Entry("EUR", EXCESS, BEA, 1), "who writes it off has not got it back"


def test_what_comes_back_is_first_what_was_too_much() -> None:
    desk = in_state("placed")
    desk.cancel(1_000)
    desk.paid(1_500)
    desk.resolve(reference="bank-1", amount_minor=1_500)

    assert outcome(desk.reversed(200, reference="back-1")) == "excess_returned"
    assert desk.reversed(200, reference="back-1") == [], "said before"
    assert outcome(desk.acknowledge()) == "acknowledged", "3.00 are still out"
    (back,) = events(said := desk.reversed(700, reference="back-2"), RefundReversed)
    (excess,) = events(said, ExcessReturned)
    assert (excess.amount_minor, back.amount_minor) == (300, 400)
    (call,) = events(desk.retry(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~2", 400)
    assert sum(one.amount_minor * (-1 if one.from_account == BEA else 1) for one in booked(desk)) == 600


async def test_once_all_of_it_is_back_nobody_waits() -> None:
    desk = in_state("too_much")
    assert await queued(desk) == {("refund", "moved_too_much")}
    (back,) = events(desk.reversed(1), ExcessReturned)
    assert back.stage == "settled"
    assert await queued(desk) == set()
    assert outcome(desk.acknowledge()) == "wrong_state", "it is over by itself"


async def test_one_of_two_troubles_that_is_over_leaves_the_other() -> None:
    desk = in_state("too_much")
    desk.paid(1_001, reference="bank-2")
    (back,) = events(desk.reversed(1), ExcessReturned)
    assert back.stage == "manual_review"
    assert await queued(desk) == {("refund", "settled_again")}
    assert outcome(desk.acknowledge()) == "acknowledged"


def test_a_failure_after_all_takes_back_what_was_too_much_as_well() -> None:
    desk = in_state("too_much")
    desk.failed("account_closed", retryable=False)
    said = desk.retry()
    assert [one.amount_minor for one in events(said, ExcessReturned) + events(said, RefundReversed)] == [1, 1_000]
    assert [one.amount_minor for one in events(said, PayBack)] == [1_000]


def test_a_provider_who_thinks_better_of_it_is_heard() -> None:
    """He had said 10.01; it was 10.00 after all, and the books say otherwise."""
    (review,) = events(in_state("too_much").paid(1_000), ReviewNeeded)
    assert (review.reason, review.provider_amount_minor) == ("settled_again", 1_000)


def test_nobody_but_an_operator_says_how_much_moved() -> None:
    for actor in (Actor(role="buyer", id="bea"), Actor(role="seller", id="sam"), Actor(role="platform", id="shop")):
        assert outcome(in_state("mismatch").resolve(actor, amount_minor=999)) == "not_allowed"


@pytest.mark.parametrize("amount_minor", [0, -1, 1.5, "999"])
def test_an_amount_is_money(amount_minor: Any) -> None:
    about: dict[str, Any] = {"order_id": "order-1", "actor": OPERATOR, "settlement_id": "s1", "leg": "refund"}
    about |= {"outcome": "settled", "provider_reference": "bank-1", "note": "So it was."}
    with pytest.raises(ValueError, match="amount_minor"):
        ResolveRefund(**about, amount_minor=amount_minor)
    assert ResolveRefund(**about).amount_minor is None


@pytest.mark.parametrize(("minor", "booked_minor"), [(4_850, 4_850), (5_000, 5_000)])
def test_without_an_amount_what_the_provider_says_of_the_movement_that_is_named_has_moved(
    minor: int, booked_minor: int
) -> None:
    desk = in_state("placed")
    desk.cancel(5_000)
    desk.paid(minor, reference="bank-7")
    if minor != 5_000:
        desk.resolve(reference="bank-7")
    assert booked(desk) == [Entry("EUR", ESCROW, BEA, booked_minor)]


def test_without_an_amount_and_by_other_means_all_of_it_has_moved() -> None:
    desk = in_state("placed")
    desk.cancel(5_000)
    desk.paid(4_850, reference="bank-7")
    desk.resolve(reference="by-hand-1")
    assert booked(desk) == [Entry("EUR", ESCROW, BEA, 5_000)]


def test_of_what_moved_in_another_currency_the_amount_must_be_said() -> None:
    desk = in_state("placed")
    desk.cancel(5_000)
    desk.paid(5_395, currency="USD", reference="bank-7")
    assert outcome(desk.resolve(reference="bank-7")) == "invalid"
    desk.resolve(reference="bank-7", amount_minor=5_000)
    assert booked(desk) == [Entry("EUR", ESCROW, BEA, 5_000)]
