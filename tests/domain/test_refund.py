"""Movements of money: wherever one can stand, against whatever can be heard there (R22, R52, R53, N7)."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.payments.commands import ChargeBack, PayBack, PaymentCommand, PayOut, QueryPayment
from schemas.refund.events import (
    ChargedBack,
    PaidOut,
    RefundEvent,
    RefundFailed,
    RefundOverdue,
    RefundRequested,
    RefundSettled,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.timer.commands import Schedule
from schemas.wire import Message
from services.refund.policy import ATTEMPTS_MAX
from services.refund.states import deadlines
from shared.rules.calendar import after
from tests.domain.refund_desk import OPERATOR, SELLER, SILENCE, STATES, RefundDesk, in_state
from tests.domain.table import NOON, cells, newest, outcome

MS = timedelta(milliseconds=1)

UNASKED: dict[str, Any] = {"settlement_id": "unasked-1", "leg": "unasked"}


def legs_of(desk: RefundDesk) -> Any:
    return desk.state.legs if desk.state is not None else {}


HEARD: dict[str, Any] = {
    "cancelled": lambda desk: desk.cancel(),
    "placed": lambda desk: desk.place(),
    "not_paid": lambda desk: desk.not_paid(),
    "captured": lambda desk: desk.captured(),
    "captured_less": lambda desk: desk.captured(4_999),
    "captured_else": lambda desk: desk.captured(payment_id="pay-2"),
    "paid": lambda desk: desk.paid(),
    "paid_less": lambda desk: desk.paid(amount_minor=999, reference="bank-1"),
    "paid_yen": lambda desk: desk.paid(currency="JPY"),
    "failed": lambda desk: desk.failed(),
    "failed_for_good": lambda desk: desk.failed("account_closed", retryable=False),
    "unknown_key": lambda desk: desk.failed("unknown_key"),
    "came_back": lambda desk: desk.reversed(),
    "came_back_in_part": lambda desk: desk.reversed(400, reference="back-2"),
    "came_back_by_one": lambda desk: desk.reversed(1, reference="back-3"),
    "came_back_yen": lambda desk: desk.reversed(currency="JPY", reference="back-2"),
    "taken_back": lambda desk: desk.reversed(5_000, key=None, payment_id="pay-1", cause="bank_chargeback"),
    "hold": lambda desk: desk.hold(),
    "unhold": lambda desk: desk.unhold(),
    "silence": lambda desk: desk.silence(),
    "retry": lambda desk: desk.retry(),
    "resolve": lambda desk: desk.resolve(),
    "resolve_unknown": lambda desk: desk.resolve(although_unknown=True),
    "resolve_less": lambda desk: desk.resolve(amount_minor=999),
    "resolve_more": lambda desk: desk.resolve(amount_minor=1_001),
    "acknowledge": lambda desk: desk.acknowledge(**UNASKED if "unasked-1/unasked" in legs_of(desk) else {}),
}

# What is said; `refund` is the movement itself on its way to the provider, `query` the question what became of it.
WHAT_THE_ORDER_SAYS = """
                  placed                               cancelled                   not_paid
nothing           captured                             -                           -
noted             captured+requested+refund            -                           -
placed            -                                    requested+refund            requested+refund
submitted         -                                    -                           -
asking            -                                    -                           -
backing_off       -                                    -                           -
retrying          -                                    -                           -
last_attempt      -                                    -                           -
last_question     -                                    -                           -
final_failure     -                                    -                           -
used_up           -                                    -                           -
no_answer         -                                    -                           -
mismatch          -                                    -                           -
paid_more         -                                    -                           -
in_part           -                                    -                           -
in_part_on_hold   -                                    -                           -
too_much          -                                    -                           -
settled           -                                    -                           -
by_hand           -                                    -                           -
settled_again     -                                    -                           -
came_back         -                                    -                           -
paid_anew         -                                    -                           -
came_back_unpaid  -                                    -                           -
failed_after_all  -                                    -                           -
unasked           -                                    requested+refund            requested+refund
on_hold           -                                    -                           -
failed_on_hold    -                                    -                           -
asking_on_hold    -                                    -                           -
awaiting_capture  -                                    requested+refund            -
lapsed            -                                    requested+refund            -
"""

WHAT_THE_PROVIDER_SAYS = """
                  paid           paid_less      paid_yen       failed                failed_for_good       unknown_key
nothing           review_needed  review_needed  review_needed  review_needed         review_needed         review_needed
noted             review_needed  review_needed  review_needed  review_needed         review_needed         review_needed
placed            review_needed  review_needed  review_needed  review_needed         review_needed         review_needed
submitted         settled        review_needed  review_needed  failed                failed+review_needed  -
asking            settled        review_needed  review_needed  failed                failed+review_needed  submitted+refund
backing_off       settled        review_needed  review_needed  -                     failed+review_needed  -
retrying          settled        review_needed  review_needed  failed                failed+review_needed  -
last_attempt      settled        review_needed  review_needed  failed+review_needed  failed+review_needed  -
last_question     settled        review_needed  review_needed  failed+review_needed  failed+review_needed  review_needed
final_failure     settled        review_needed  review_needed  -                     -                     -
used_up           settled        review_needed  review_needed  -                     -                     -
no_answer         settled        review_needed  review_needed  -                     -                     -
mismatch          settled        -              review_needed  -                     -                     -
paid_more         settled        review_needed  review_needed  -                     -                     -
in_part           review_needed  -              review_needed  -                     -                     -
in_part_on_hold   review_needed  -              review_needed  -                     -                     -
too_much          review_needed review_needed  review_needed  -                     review_needed         -
settled           -              review_needed  review_needed  -                     review_needed         -
by_hand           review_needed  review_needed  review_needed  -                     -                     -
settled_again     -              review_needed  review_needed  -                     review_needed         -
came_back         -              review_needed  review_needed  -                     -                     -
paid_anew         -              review_needed  review_needed  -                     -                     -
came_back_unpaid  -              review_needed  review_needed  -                     -                     -
failed_after_all  -              review_needed  review_needed  -                     -                     -
unasked           -              review_needed  review_needed  review_needed         review_needed         review_needed
on_hold           settled        review_needed  review_needed  -                     -                     -
failed_on_hold    settled        review_needed  review_needed  -                     failed+review_needed  -
asking_on_hold    settled        review_needed  review_needed  failed                failed+review_needed  failed
awaiting_capture  review_needed  review_needed  review_needed  review_needed         review_needed         review_needed
lapsed            review_needed  review_needed  review_needed  review_needed         review_needed         review_needed
"""

WHAT_COMES_IN = """
                  captured                             captured_less  captured_else
nothing           review_needed                        review_needed  review_needed
noted             review_needed                        review_needed  review_needed
placed            -                                    review_needed  review_needed
submitted         -                                    review_needed  review_needed
asking            -                                    review_needed  review_needed
backing_off       -                                    review_needed  review_needed
retrying          -                                    review_needed  review_needed
last_attempt      -                                    review_needed  review_needed
last_question     -                                    review_needed  review_needed
final_failure     -                                    review_needed  review_needed
used_up           -                                    review_needed  review_needed
no_answer         -                                    review_needed  review_needed
mismatch          -                                    review_needed  review_needed
paid_more         -                                    review_needed  review_needed
in_part           -                                    review_needed  review_needed
in_part_on_hold   -                                    review_needed  review_needed
too_much          -                                    review_needed  review_needed
settled           -                                    review_needed  review_needed
by_hand           -                                    review_needed  review_needed
settled_again     -                                    review_needed  review_needed
came_back         -                                    review_needed  review_needed
paid_anew         -                                    review_needed  review_needed
came_back_unpaid  -                                    review_needed  review_needed
failed_after_all  -                                    review_needed  review_needed
unasked           -                                    review_needed  review_needed
on_hold           -                                    review_needed  review_needed
failed_on_hold    -                                    review_needed  review_needed
asking_on_hold    -                                    review_needed  review_needed
awaiting_capture  captured                             review_needed  review_needed
lapsed            captured+requested+refund            review_needed  review_needed
"""

WHAT_COMES_BACK = """
                  came_back                               came_back_in_part                       came_back_by_one        came_back_yen
nothing           review_needed                           review_needed                           review_needed           review_needed
noted             review_needed                           review_needed                           review_needed           review_needed
placed            review_needed                           review_needed                           review_needed           review_needed
submitted         review_needed                           review_needed                           review_needed           review_needed
asking            review_needed                           review_needed                           review_needed           review_needed
backing_off       review_needed                           review_needed                           review_needed           review_needed
retrying          review_needed                           review_needed                           review_needed           review_needed
last_attempt      review_needed                           review_needed                           review_needed           review_needed
last_question     review_needed                           review_needed                           review_needed           review_needed
final_failure     review_needed                           review_needed                           review_needed           review_needed
used_up           review_needed                           review_needed                           review_needed           review_needed
no_answer         review_needed                           review_needed                           review_needed           review_needed
mismatch          review_needed                           review_needed                           review_needed           review_needed
paid_more         review_needed                           review_needed                           review_needed           review_needed
in_part           review_needed                           review_needed                           review_needed           review_needed
in_part_on_hold   review_needed                           review_needed                           review_needed           review_needed
too_much          excess_returned+reversed+review_needed  excess_returned+reversed+review_needed  excess_returned         review_needed
settled           reversed+review_needed                  reversed+review_needed                  reversed+review_needed  review_needed
by_hand           review_needed                           review_needed                           review_needed           review_needed
settled_again     review_needed                           review_needed                           review_needed           review_needed
came_back         -                                       review_needed                           review_needed           review_needed
paid_anew         -                                       review_needed                           review_needed           review_needed
came_back_unpaid  -                                       review_needed                           review_needed           review_needed
failed_after_all  reversed+review_needed                  reversed+review_needed                  reversed+review_needed  review_needed
unasked           review_needed                           review_needed                           review_needed           review_needed
on_hold           review_needed                           review_needed                           review_needed           review_needed
failed_on_hold    review_needed                           review_needed                           review_needed           review_needed
asking_on_hold    review_needed                           review_needed                           review_needed           review_needed
awaiting_capture  review_needed                           review_needed                           review_needed           review_needed
lapsed            review_needed                           review_needed                           review_needed           review_needed
"""

WHAT_HOLDS_IT = """
                  taken_back          hold         unhold
nothing           review_needed       not_found    not_found
noted             review_needed       not_found    not_found
placed            held+review_needed  held         wrong_state
submitted         held+review_needed  held         wrong_state
asking            held+review_needed  held         wrong_state
backing_off       held+review_needed  held         wrong_state
retrying          held+review_needed  held         wrong_state
last_attempt      held+review_needed  held         wrong_state
last_question     held+review_needed  held         wrong_state
final_failure     held+review_needed  held         wrong_state
used_up           held+review_needed  held         wrong_state
no_answer         held+review_needed  held         wrong_state
mismatch          held+review_needed  held         wrong_state
paid_more         held+review_needed  held         wrong_state
in_part           held+review_needed  held         wrong_state
in_part_on_hold   review_needed       wrong_state  unheld+submitted+refund
too_much          held+review_needed  held         wrong_state
settled           held+review_needed  held         wrong_state
by_hand           held+review_needed  held         wrong_state
settled_again     held+review_needed  held         wrong_state
came_back         held+review_needed  held         wrong_state
paid_anew         held+review_needed  held         wrong_state
came_back_unpaid  held+review_needed  held         wrong_state
failed_after_all  held+review_needed  held         wrong_state
unasked           held+review_needed  held         wrong_state
on_hold           review_needed       wrong_state  unheld+submitted+refund
failed_on_hold    review_needed       wrong_state  unheld
asking_on_hold    review_needed       wrong_state  unheld
awaiting_capture  review_needed       held         wrong_state
lapsed            review_needed       held         wrong_state
"""

WHAT_TIME_AND_THE_OPERATOR_DO = """
                  silence           retry                      resolve           resolve_unknown   acknowledge
nothing           -                 not_found                  not_found         not_found         not_found
noted             -                 not_found                  not_found         not_found         not_found
placed            -                 not_found                  not_found         not_found         not_found
submitted         submitted+query   wrong_state                wrong_state       settled           wrong_state
asking            submitted+query   wrong_state                wrong_state       settled           wrong_state
backing_off       submitted+refund  submitted+refund           settled           settled           wrong_state
retrying          submitted+query   wrong_state                wrong_state       settled           wrong_state
last_attempt      review_needed     wrong_state                wrong_state       settled           wrong_state
last_question     review_needed     wrong_state                wrong_state       settled           wrong_state
final_failure     -                 submitted+refund           settled           settled           wrong_state
used_up           -                 submitted+refund           settled           settled           wrong_state
no_answer         -                 submitted+query            wrong_state       settled           wrong_state
mismatch          -                 submitted+query            settled           settled           wrong_state
paid_more         -                 submitted+query            settled           settled           wrong_state
in_part           submitted+query   wrong_state                wrong_state       settled           wrong_state
in_part_on_hold   -                 wrong_state                settled           settled           wrong_state
too_much          -                 wrong_state                wrong_state       wrong_state       acknowledged
settled           -                 wrong_state                wrong_state       wrong_state       wrong_state
by_hand           -                 wrong_state                wrong_state       wrong_state       wrong_state
settled_again     -                 wrong_state                wrong_state       wrong_state       acknowledged
came_back         -                 submitted+refund           settled           settled           wrong_state
paid_anew         submitted+query   wrong_state                wrong_state       settled           wrong_state
came_back_unpaid  -                 submitted+refund           settled           settled           wrong_state
failed_after_all  -                 reversed+submitted+refund  reversed+settled  reversed+settled  acknowledged
unasked           -                 not_found                  not_found         not_found         acknowledged
on_hold           -                 wrong_state                settled           settled           wrong_state
failed_on_hold    -                 wrong_state                settled           settled           wrong_state
asking_on_hold    submitted+query   wrong_state                wrong_state       settled           wrong_state
awaiting_capture  submitted+query   not_found                  not_found         not_found         not_found
lapsed            -                 not_found                  not_found         not_found         not_found
"""

WHAT_REALLY_MOVED = """
                  resolve_less                             resolve_more
nothing           not_found                                not_found
noted             not_found                                not_found
placed            not_found                                not_found
submitted         wrong_state                              wrong_state
asking            wrong_state                              wrong_state
backing_off       moved_in_part+submitted+refund           amount_exceeds
retrying          wrong_state                              wrong_state
last_attempt      wrong_state                              wrong_state
last_question     wrong_state                              wrong_state
final_failure     moved_in_part+submitted+refund           amount_exceeds
used_up           moved_in_part+submitted+refund           amount_exceeds
no_answer         wrong_state                              wrong_state
mismatch          moved_in_part+submitted+refund           amount_exceeds
paid_more         moved_in_part+submitted+refund           settled+moved_too_much+review_needed
in_part           wrong_state                              wrong_state
in_part_on_hold   amount_exceeds                           amount_exceeds
too_much          wrong_state                              wrong_state
settled           wrong_state                              wrong_state
by_hand           wrong_state                              wrong_state
settled_again     wrong_state                              wrong_state
came_back         moved_in_part+submitted+refund           amount_exceeds
paid_anew         wrong_state                              wrong_state
came_back_unpaid  moved_in_part+submitted+refund           amount_exceeds
failed_after_all  reversed+moved_in_part+submitted+refund  amount_exceeds
unasked           not_found                                not_found
on_hold           moved_in_part                            amount_exceeds
failed_on_hold    moved_in_part                            amount_exceeds
asking_on_hold    wrong_state                              wrong_state
awaiting_capture  not_found                                not_found
lapsed            not_found                                not_found
"""


@pytest.mark.parametrize(
    "table",
    [
        WHAT_THE_ORDER_SAYS,
        WHAT_THE_PROVIDER_SAYS,
        WHAT_COMES_IN,
        WHAT_COMES_BACK,
        WHAT_HOLDS_IT,
        WHAT_TIME_AND_THE_OPERATOR_DO,
        WHAT_REALLY_MOVED,
    ],
)
def test_the_tables_leave_out_no_state(table: str) -> None:
    assert [row.split()[0] for row in table.strip().splitlines()[1:]] == list(STATES)


@pytest.mark.parametrize(
    ("state", "heard", "expected"),
    [
        *cells(WHAT_THE_ORDER_SAYS),
        *cells(WHAT_THE_PROVIDER_SAYS),
        *cells(WHAT_COMES_IN),
        *cells(WHAT_COMES_BACK),
        *cells(WHAT_HOLDS_IT),
        *cells(WHAT_TIME_AND_THE_OPERATOR_DO),
        *cells(WHAT_REALLY_MOVED),
    ],
)
@pytest.mark.rule("N7")
@pytest.mark.rule("R62")
@pytest.mark.rule("R63")
@pytest.mark.rule("R61")
def test_every_state_against_everything_heard(state: str, heard: str, expected: str) -> None:
    desk = in_state(state)

    assert outcome(HEARD[heard](desk)) == expected
    assert desk.refolded() == desk.state


STAGES = """
               stage
submitted      submitted
asking         processing
backing_off    failed
retrying       retrying
last_attempt   retrying
last_question  processing
final_failure  manual_review
used_up        manual_review
no_answer      manual_review
mismatch       manual_review
paid_more      manual_review
in_part        retrying
in_part_on_hold  on_hold
too_much       manual_review
settled        settled
by_hand        settled
settled_again  manual_review
came_back      manual_review
paid_anew      retrying
came_back_unpaid  manual_review
failed_after_all  manual_review
unasked        manual_review
on_hold        on_hold
failed_on_hold  failed
asking_on_hold  processing
"""


@pytest.mark.parametrize(("state", "_", "stage"), list(cells(STAGES)))
@pytest.mark.rule("R52")
def test_the_last_event_tells_where_the_movement_stands(state: str, _: str, stage: str) -> None:
    assert events(in_state(state).history, RefundEvent)[-1].stage == stage


@pytest.mark.rule("R52")
def test_the_stages_of_a_refund_that_needed_a_person() -> None:
    desk = in_state("used_up")
    desk.retry()
    desk.paid()

    stages = [event.stage for event in events(desk.history, RefundEvent)]
    assert stages == [
        "submitted",
        *["failed", "retrying"] * (ATTEMPTS_MAX - 1),
        *["failed", "manual_review", "retrying", "settled"],
    ]


# -- which legs -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R22")
def test_a_settlement_moves_its_three_legs_at_once() -> None:
    desk = in_state("placed")

    said = desk.settle(700, 300, 200)

    due_by = after(NOON, newest()[1].refund_due, newest()[1])
    requested = events(said, RefundRequested)
    assert [
        (event.settlement_id, event.leg, event.amount_minor, event.currency, event.due_by) for event in requested
    ] == [
        ("s1", "refund", 700, "EUR", due_by),
        ("s1", "payout", 300, "EUR", due_by),
        ("s1", "chargeback", 200, "EUR", due_by),
    ]
    about = {"order_id": "order-1", "actor": {"role": "platform", "id": "refund"}, "currency": "EUR"}
    assert {command.type: command.model_dump() for command in events(said, PaymentCommand)} == {
        PayBack.type: about | {"payment_key": "s1/refund", "payment_id": "pay-1", "amount_minor": 700},
        PayOut.type: about | {"payment_key": "s1/payout", "seller_id": "sam", "amount_minor": 300},
        ChargeBack.type: about | {"payment_key": "s1/chargeback", "seller_id": "sam", "amount_minor": 200},
    }


@pytest.mark.rule("R22")
def test_each_leg_is_done_by_its_own_answer_and_says_so() -> None:
    desk = in_state("placed")
    desk.settle(700, 300, 200)

    (charged_back,) = events(desk.paid(200, key="s1/chargeback", reference="c"), ChargedBack)
    (refunded,) = events(desk.paid(700, key="s1/refund", reference="r"), RefundSettled)
    (paid_out,) = events(desk.paid(300, key="s1/payout", reference="p"), PaidOut)

    assert (charged_back.amount_minor, charged_back.seller_id, charged_back.provider_reference) == (200, "sam", "c")
    assert (refunded.refund_minor, refunded.buyer_id, refunded.provider_reference) == (700, "bea", "r")
    assert (paid_out.amount_minor, paid_out.seller_id, paid_out.provider_reference) == (300, "sam", "p")
    assert {event.settlement_id for event in (charged_back, refunded, paid_out)} == {"s1"}
    assert list(deadlines(desk.state)) == []


def test_a_leg_of_nothing_is_no_leg() -> None:
    desk = in_state("placed")

    assert outcome(desk.settle(1_000, 0, 0)) == "requested+refund"
    assert outcome(desk.settle(0, 400, 0, "s2")) == "requested+payout"
    assert outcome(desk.release(0, "s3")) == "-"
    assert outcome(desk.release(100, "s4")) == "requested+payout"


@pytest.mark.rule("N7")
def test_a_settlement_told_twice_is_executed_once() -> None:
    desk = in_state("placed")
    desk.settle(700, 300, 0)

    assert desk.settle(700, 300, 0) == []


def test_what_was_settled_before_the_order_was_heard_waits_for_it() -> None:
    desk = in_state("nothing")
    desk.settle(700, 300, 0)
    desk.settle(700, 300, 0)
    desk.release(50, "s2")
    desk.wait(hours=1)

    said = desk.place()

    assert [command.payment_key for command in events(said, PaymentCommand)] == ["s1/refund", "s1/payout", "s2/payout"]
    due_by = after(desk.now, newest()[1].refund_due, newest()[1])
    assert {event.due_by for event in events(said, RefundRequested)} == {due_by}


# -- attempts ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("N7")
def test_back_off_grows_from_a_second_to_six_hours_under_one_key() -> None:
    desk = in_state("submitted")
    waits, keys = [], {"s1/refund"}
    for _ in range(ATTEMPTS_MAX - 1):
        (failed,) = events(desk.failed(), RefundFailed)
        assert failed.retry_at is not None
        waits.append((failed.retry_at - desk.now).total_seconds())
        desk.now = failed.retry_at
        assert outcome(desk.ring()) == "-"  # not at the instant, only after it
        desk.now += MS
        said = desk.ring()
        assert outcome(said) == "submitted+refund"
        keys |= {command.payment_key for command in events(said, PayBack)}

    assert waits == [1, 6, 36, 216, 1_296, 7_776, 21_600]
    assert keys == {"s1/refund"}


@pytest.mark.rule("N7")
def test_a_silent_provider_is_asked_again_and_again_and_then_a_person_is() -> None:
    desk = in_state("submitted")
    windows = []
    for attempt in range(2, ATTEMPTS_MAX + 1):
        answer_by = (events(desk.history, RefundSubmitted) or events(desk.history, RefundRequested))[-1].answer_by
        assert answer_by is not None
        windows.append((answer_by - desk.now).total_seconds())
        desk.now = answer_by + MS
        said = desk.ring()
        (submitted,) = events(said, RefundSubmitted)
        assert (submitted.asking, submitted.attempt, submitted.attempts_max) == (True, attempt, ATTEMPTS_MAX)
        assert events(said, PaymentCommand) == [question()]
    assert windows == [10, 10, 36, 216, 1_296, 7_776, 21_600]

    (review,) = events(desk.silence(), ReviewNeeded)
    assert review.reason == "no_answer"


@pytest.mark.rule("N7")
def test_a_movement_the_provider_never_heard_of_is_sent_again_under_its_key() -> None:
    desk = in_state("asking")

    said = desk.failed("unknown_key", retryable=False)

    assert [command.payment_key for command in events(said, PayBack)] == ["s1/refund"]
    assert events(said, RefundSubmitted)[0].attempt == 3


@pytest.mark.parametrize(
    ("state", "answer", "reason"),
    [
        ("submitted", "failed_for_good", "final_failure"),
        ("last_attempt", "failed", "attempts_used_up"),
        ("last_question", "unknown_key", "attempts_used_up"),
        ("last_question", "silence", "no_answer"),
        ("submitted", "paid_less", "mismatch"),
        ("submitted", "paid_yen", "mismatch"),
        ("final_failure", "paid_less", "mismatch"),
        ("settled", "paid_less", "settled_again"),
        ("by_hand", "paid", "settled_again"),
        ("settled", "came_back", "reversed"),
        ("settled", "came_back_in_part", "reversed"),
        ("settled", "came_back_yen", "wrong_reference"),
        ("settled_again", "came_back", "reversed"),
        ("submitted", "came_back", "reversed"),
        ("settled", "failed_for_good", "failed_after_settlement"),
    ],
)
@pytest.mark.rule("N7")
def test_why_a_person_is_called(state: str, answer: str, reason: str) -> None:
    desk = in_state(state)
    (review,) = events(HEARD[answer](desk), ReviewNeeded)
    owed_minor = 400 if (state, answer) == ("settled", "came_back_in_part") else 1_000
    assert (review.settlement_id, review.leg, review.amount_minor, review.reason) == (
        "s1",
        "refund",
        owed_minor,
        reason,
    )


@pytest.mark.rule("N7")
def test_what_the_provider_said_of_a_failure_is_told() -> None:
    (failed,) = events(in_state("submitted").failed(), RefundFailed)
    assert (failed.code, failed.retryable, failed.retry_at) == ("bank_down", True, NOON + timedelta(seconds=1))

    (failed,) = events(in_state("submitted").failed("account_closed", retryable=False), RefundFailed)
    assert (failed.code, failed.retryable, failed.retry_at) == ("account_closed", False, None)


# -- the operator -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["submitted", "used_up", "settled"])
def test_only_an_operator_operates(state: str) -> None:
    desk = in_state(state)
    assert outcome(desk.retry(SELLER)) == "not_allowed"
    assert outcome(desk.resolve(SELLER)) == "not_allowed"


@pytest.mark.parametrize("names", [{"settlement_id": "s2"}, {"leg": "payout"}])
def test_a_movement_nobody_knows_is_not_found_even_by_a_stranger(names: dict[str, Any]) -> None:
    desk = in_state("used_up")
    assert outcome(desk.retry(SELLER, **names)) == "not_found"
    assert outcome(desk.resolve(**names)) == "not_found"


@pytest.mark.rule("N7")
def test_a_retry_by_hand_has_all_attempts_anew_under_the_same_key() -> None:
    desk = in_state("used_up")

    said = desk.retry()

    (submitted,) = events(said, RefundSubmitted)
    assert submitted.actor == OPERATOR
    assert (submitted.attempt, submitted.attempts_max) == (ATTEMPTS_MAX + 1, 2 * ATTEMPTS_MAX)
    assert submitted.answer_by == desk.now + timedelta(seconds=10)
    assert [command.payment_key for command in events(said, PayBack)] == ["s1/refund"]
    (failed,) = events(desk.failed(), RefundFailed)
    assert failed.retry_at == desk.now + timedelta(seconds=1)
    for _ in range(ATTEMPTS_MAX - 2):
        desk.silence()
        assert outcome(desk.failed()) == "failed"
    desk.silence()
    assert outcome(desk.failed()) == "failed+review_needed"


@pytest.mark.parametrize(("state", "attempt"), [("backing_off", 2), ("final_failure", 2), ("no_answer", 9)])
@pytest.mark.rule("N7")
def test_a_retry_by_hand_counts_from_where_it_is_pressed(state: str, attempt: int) -> None:
    (submitted,) = events(in_state(state).retry(), RefundSubmitted)
    assert (submitted.attempt, submitted.attempts_max) == (attempt, attempt + ATTEMPTS_MAX - 1)


@pytest.mark.rule("N7")
def test_money_moved_by_other_means_is_done_and_never_sent_again() -> None:
    desk = in_state("used_up")

    (settled,) = events(desk.resolve(reference="transfer-7"), RefundSettled)

    assert (settled.actor, settled.refund_minor, settled.provider_reference) == (OPERATOR, 1_000, "transfer-7")
    assert settled.note == "By bank transfer"
    assert list(deadlines(desk.state)) == []


# -- due --------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R53")
def test_a_refund_not_done_in_time_is_called_overdue_again_and_again_until_it_is() -> None:
    policy = newest()[1]
    desk = in_state("final_failure")
    due_by = after(NOON, policy.refund_due, policy)
    assert due_by == NOON + timedelta(days=14)  # ten working days, over two week-ends

    desk.now = due_by
    assert outcome(desk.ring()) == "-"
    desk.now = due_by + MS
    (overdue,) = events(desk.ring(), RefundOverdue)
    assert (overdue.leg, overdue.amount_minor, overdue.due_by, overdue.stage) == (
        "refund",
        1_000,
        due_by,
        "manual_review",
    )
    assert overdue.repeats_at == after(desk.now, policy.refund_due, policy)

    desk.now = overdue.repeats_at + MS
    (again,) = events(desk.ring(), RefundOverdue)
    assert (again.due_by, again.repeats_at) == (due_by, after(desk.now, policy.refund_due, policy))

    desk.paid()
    desk.now = again.repeats_at + MS
    assert outcome(desk.ring()) == "-"


def test_of_two_deadlines_of_one_instant_the_provider_is_called_first() -> None:
    desk = RefundDesk()
    desk.place("demo")  # due after ten seconds, as long as the first answer window
    desk.cancel()
    desk.wait(seconds=10, milliseconds=1)

    assert outcome(desk.ring()) == "submitted+query+overdue"


@pytest.mark.parametrize("state", list(STATES))
def test_an_alarm_is_set_for_whatever_is_pending(state: str) -> None:
    desk = in_state(state)
    names = {deadline.name for deadline in deadlines(desk.state)}
    moves = {"submitted", "asking", "backing_off", "retrying", "last_attempt", "last_question"}
    moves |= {"paid_anew", "asking_on_hold", "in_part"}
    asks = {"awaiting_capture"}  # and nobody is late: the order's own clock ends it
    queued = {
        "final_failure",
        "used_up",
        "no_answer",
        "mismatch",
        "paid_more",
        "in_part_on_hold",
        "came_back",
        "came_back_unpaid",
        "on_hold",
        "failed_on_hold",
    }
    expected = {"refund_retry"} if state in moves | asks else set()
    expected |= {"refund_due"} if state in moves | queued else set()
    assert names == expected
    if names:
        assert desk.stream.alarm is not None
        assert {message.timer_id for message in events(desk.history, Schedule)} == {"refund/order-1"}


@pytest.mark.rule("N7")
def test_one_leg_in_trouble_holds_up_no_other() -> None:
    desk = in_state("placed")
    desk.settle(700, 300, 0)
    desk.failed("account_closed", retryable=False, key="s1/payout")

    assert outcome(desk.paid(700)) == "settled"
    desk.now += SILENCE
    assert outcome(desk.release(50, "s2")) == "requested+payout"


def question() -> QueryPayment:
    return QueryPayment.model_validate_json(
        '{"order_id": "order-1", "actor": {"role": "platform", "id": "refund"}, "payment_key": "s1/refund"}'
    )


def events(said: list[Message], model: type[Any]) -> list[Any]:
    return [message for message in said if isinstance(message, model)]
