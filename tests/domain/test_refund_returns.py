"""What the payment service says and nobody expected, told as it happened elsewhere (R62)."""

from typing import Any

import pytest

from schemas.payments.commands import PayBack
from schemas.refund.events import RefundReversed, RefundSettled, RefundSubmitted, ReviewNeeded
from services.refund.ledger import entry
from services.refund.projection import MemoryReviewTable, ReviewQueue
from tests.domain.refund_desk import OPERATOR, SELLER, STATES, RefundDesk, in_state
from tests.domain.table import NOON, outcome
from tests.domain.test_refund import UNASKED, events
from tests.kit.stored_events import stored_event

pytestmark = pytest.mark.rule("R62")


def facts(review: ReviewNeeded) -> tuple[Any, ...]:
    return review.provider_said, review.provider_amount_minor, review.provider_currency, review.provider_reference


def test_a_failure_after_the_success_is_not_swallowed() -> None:
    """The card had expired: the bank took three days to say so."""
    desk = in_state("settled")
    desk.wait(days=3)

    (review,) = events(desk.failed("expired_or_canceled_card", retryable=False), ReviewNeeded)
    assert (review.reason, review.code, review.stage) == (
        "failed_after_settlement",
        "expired_or_canceled_card",
        "manual_review",
    )
    assert len([one for one in desk.history if entry(one)]) == 2  # a word against a word: nothing is booked

    back, submitted, call = desk.retry()[:3]
    assert isinstance(back, RefundReversed)
    assert (back.amount_minor, back.cause, back.party_id) == (1_000, "failed", "bea")
    assert isinstance(submitted, RefundSubmitted)
    assert isinstance(call, PayBack)
    assert (submitted.payment_key, call.payment_key, call.amount_minor) == ("s1/refund~2", "s1/refund~2", 1_000)
    (settled,) = events(desk.paid(key="s1/refund~2", reference="bank-2"), RefundSettled)
    assert settled.refund_minor == 1_000


@pytest.mark.parametrize("leg", ["refund", "payout", "chargeback"])
def test_what_came_back_is_booked_the_other_way(leg: str) -> None:
    desk = in_state("placed")
    desk.settle(700, 700, 700)
    key = f"s1/{leg}"
    desk.paid(700, key=key)

    (back,) = events(desk.reversed(700, key=key), RefundReversed)

    first, second = [made for one in desk.history if (made := entry(one))][1:]
    assert (first.from_account, first.to_account) == (second.to_account, second.from_account)
    assert (second.amount_minor, back.provider_reference) == (700, "back-1")


def test_of_what_came_back_in_part_only_that_is_paid_again() -> None:
    desk = in_state("settled")
    desk.reversed(400, reference="back-1")
    desk.reversed(300, reference="back-2")
    assert outcome(desk.reversed(400, reference="back-1")) == "-"  # said before

    (call,) = events(desk.retry(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~2", 700)
    desk.paid(700, key="s1/refund~2", reference="bank-2")
    desk.reversed(700, key="s1/refund~2", reference="back-3")
    (call,) = events(desk.retry(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~3", 700)


def test_what_comes_back_of_an_earlier_movement_is_owed_again() -> None:
    """4.00 of 10.00 came back and were paid anew; then the other 6.00 did."""
    desk = in_state("settled")
    desk.reversed(400, reference="back-1")
    desk.retry()
    assert outcome(desk.reversed(600, reference="back-2")) == "review_needed", "while another is on its way: a person"
    desk.paid(400, key="s1/refund~2", reference="bank-2")

    assert outcome(desk.reversed(601, reference="back-3")) == "review_needed", "more than stands"
    (back,) = events(desk.reversed(600, reference="back-4"), RefundReversed)
    assert (back.payment_key, back.amount_minor) == ("s1/refund", 600)
    assert outcome(desk.reversed(400, key="s1/refund~2", reference="back-5")) == "reversed+review_needed"
    assert outcome(desk.reversed(1, reference="back-6")) == "review_needed", "nothing stands any more"
    (call,) = events(desk.retry(), PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund~3", 1_000)


def test_one_failure_told_twice_is_one_failure() -> None:
    """The provider called again, and the old no came again: it is no answer to the new call, and nobody pays by hand
    while that may still be answered."""
    desk = in_state("final_failure")
    first = desk.call()
    desk.retry()

    assert desk.failed("account_closed", retryable=False, call=first) == []
    assert outcome(desk.resolve()) == "wrong_state"
    assert outcome(desk.paid()) == "settled"


@pytest.mark.parametrize("call", ["", "somebody's"])
def test_a_failure_that_names_no_call_of_ours_is_no_answer(call: str) -> None:
    desk = in_state("submitted")
    assert desk.failed(call=call) == []
    assert outcome(desk.silence()) == "submitted+query"


def test_who_pays_by_hand_and_does_not_know_says_so() -> None:
    desk = in_state("submitted")
    assert outcome(desk.resolve()) == "wrong_state"

    (settled,) = events(desk.resolve(although_unknown=True), RefundSettled)
    assert settled.although_unknown
    (review,) = events(desk.paid(reference="bank-7"), ReviewNeeded)
    assert (review.reason, facts(review)) == ("settled_again", ("settled", 1_000, "EUR", "bank-7"))
    (known,) = events(in_state("final_failure").resolve(although_unknown=True), RefundSettled)
    assert not known.although_unknown


def test_who_is_asked_anew_and_says_the_same_is_looked_at_again() -> None:
    desk = in_state("mismatch")
    assert outcome(desk.paid(amount_minor=999)) == "-"
    desk.retry()
    assert outcome(desk.paid(amount_minor=999)) == "review_needed"


def test_every_settlement_of_another_name_is_announced_and_none_twice() -> None:
    desk = in_state("settled")
    for reference in ("bank-2", "bank-3"):
        (review,) = events(desk.paid(reference=reference), ReviewNeeded)
        assert (review.reason, review.stage, review.provider_reference) == ("settled_again", "manual_review", reference)
        assert desk.paid(reference=reference) == []
    assert outcome(desk.acknowledge()) == "acknowledged"
    assert desk.paid(reference="bank-2") == []
    assert outcome(desk.acknowledge()) == "wrong_state"


@pytest.mark.parametrize("state", ["nothing", "placed", "submitted"])
@pytest.mark.parametrize("key", ["s9/payout", "s9/refund~2", "s1/refund~x", "w1:1/payout", "no key of ours"])
def test_money_that_nobody_asked_for_is_kept(state: str, key: str) -> None:
    desk = in_state(state)

    (review,) = events(desk.paid(4_850, "USD", key=key), ReviewNeeded)

    assert (review.settlement_id, review.leg, review.reason, review.payment_key) == (*UNASKED.values(), "unasked", key)
    assert (review.amount_minor, review.currency, review.due_by) == (4_850, "USD", desk.now)
    assert desk.paid(4_850, "USD", key=key) == []
    assert outcome(desk.acknowledge(SELLER, **UNASKED)) == "not_allowed"
    (acknowledged,) = desk.acknowledge(**UNASKED)
    assert getattr(acknowledged, "actor", None) == OPERATOR
    assert outcome(desk.acknowledge(**UNASKED)) == "wrong_state"


def test_what_was_kept_before_the_order_was_heard_stays() -> None:
    desk = in_state("nothing")
    desk.paid(key="s9/payout")
    desk.place()
    assert desk.paid(key="s9/payout") == []
    assert outcome(desk.retry(**UNASKED)) == "wrong_state"
    assert outcome(desk.acknowledge(**UNASKED)) == "acknowledged"


def test_which_of_two_payments_came_back_a_person_decides() -> None:
    desk = in_state("settled_again")
    assert outcome(desk.reversed()) == "review_needed"
    assert outcome(desk.acknowledge()) == "acknowledged"

    desk = in_state("settled_again")
    desk.reversed()
    (back,) = events(desk.resolve(), RefundReversed)
    assert (back.cause, back.provider_reference) == ("refund_returned", "back-1")


async def queued(desk: RefundDesk) -> set[tuple[str, str]]:
    """Legs and reasons in the operators' queue, by every event there was, each in a commit of its own."""
    table = MemoryReviewTable()
    for position, message in enumerate(desk.history, 1):
        await ReviewQueue(table).apply(None, (), [stored_event(message, position=position)])
    together = MemoryReviewTable()
    stored = [stored_event(message, position=n) for n, message in enumerate(desk.history, 1)]
    await ReviewQueue(together).apply(None, (), stored)
    assert table.reviews.keys() == together.reviews.keys()
    return {(place.leg, review.reason) for place, review in table.reviews.items()}


REASONS = {
    "final_failure": "final_failure",
    "used_up": "attempts_used_up",
    "no_answer": "no_answer",
    "mismatch": "mismatch",
    "paid_more": "mismatch",
    "too_much": "moved_too_much",
    "settled_again": "settled_again",
    "came_back": "reversed",
    "came_back_unpaid": "reversed",
    "failed_after_all": "failed_after_settlement",
    "unasked": "unasked",
}


@pytest.mark.parametrize("state", list(STATES))
async def test_what_waits_for_a_person_is_in_the_queue_and_nothing_else(state: str) -> None:
    desk = in_state(state)
    leg = "unasked" if state == "unasked" else "refund"
    assert await queued(desk) == ({(leg, REASONS[state])} if state in REASONS else set())

    names: dict[str, Any] = UNASKED if state == "unasked" else {}
    for act in (desk.acknowledge, desk.retry):
        if state in REASONS and not outcome(act(**names)).endswith("wrong_state"):
            break
    assert await queued(desk) == set(), "everything has a way out"


def test_promises_are_kept_from_the_return_on() -> None:
    desk = in_state("settled")
    desk.wait(days=100)
    desk.reversed()
    assert outcome(desk.ring()) == "-"
    desk.wait(days=30)
    assert outcome(desk.ring()) == "overdue"
    assert desk.now > NOON


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_no_to_what_he_had_settled_is_looked_at_whichever_call_it_names(attempt: int) -> None:
    """He was asked a second time before his first word was heard: that is the call which he takes back."""
    desk = in_state("asking")
    desk.paid()

    said = desk.failed("account_closed", retryable=False, call=desk.call(attempt=attempt))

    assert [review.reason for review in events(said, ReviewNeeded)] == ["failed_after_settlement"]
    assert desk.failed("account_closed", retryable=False, call=desk.call(attempt=attempt)) == [], "said again"


def test_a_no_that_was_heard_before_he_settled_it_is_no_news() -> None:
    desk = in_state("submitted")
    first = desk.call()
    desk.failed("account_closed", retryable=False)
    desk.retry()
    desk.paid()

    assert desk.failed("account_closed", retryable=False, call=first) == []
