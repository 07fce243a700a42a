"""The mediator asks, the parties answer in time or bear the consequence (R39–R41)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.common import EVIDENCE_FILES_MAX, Offer, Terms
from schemas.mediation.events import AnswerMissed, MediationDefaulted, QuestionAnswered, QuestionAsked
from schemas.wire import Rejected
from services.mediation.policy import QUESTIONS_MAX
from tests.domain.mediation_room import BUYER, SELLER, room_at, under
from tests.domain.table import cells, outcome

RULES: dict[str, dict[str, Any]] = {
    "aliexpress": {},
    "buyer_wins": {"mediation_seller_silence": "buyer_wins"},
    "cancelled": {"buyer_silence": "cancelled"},
}

# Who missed the answer (b, s), then who lost by it, what the buyer gets of his claim of 8000, and the effect.
SILENCE = """
                           aliexpress            buyer_wins             cancelled
asked_buyer                b=buyer:0:decided     b=buyer:0:decided      b=buyer:0:cancelled
asked_seller               s                     s=seller:8000:decided  s
asked_both                 bs=buyer:0:decided    bs=buyer:0:decided     bs=buyer:0:cancelled
asked_both>buyer_answered  s                     s=seller:8000:decided  s
asked_both>seller_answered b=buyer:0:decided     b=buyer:0:decided      b=buyer:0:cancelled
asked_buyer>asked_seller2  bs=buyer:0:decided    bs=buyer:0:decided     bs=buyer:0:cancelled
asked_seller2>asked_buyer  bs=buyer:0:decided    bs=buyer:0:decided     bs=buyer:0:cancelled
"""


@pytest.mark.parametrize(("path", "rules", "expected"), [*cells(SILENCE)])
@pytest.mark.rule("R40")
@pytest.mark.rule("R41")
def test_what_silence_costs(path: str, rules: str, expected: str) -> None:
    room = room_at(f"assigned>{path}", policy=under(**RULES[rules]))

    said = room.ring_after("answer")

    silent = "".join(message.by[0] for message in said if isinstance(message, AnswerMissed))
    verdicts = [
        f"{message.against}:{message.refund_minor}:{message.effect}"
        for message in said
        if isinstance(message, MediationDefaulted)
    ]
    assert "=".join([silent, *verdicts]) == expected
    for message in said:
        if isinstance(message, MediationDefaulted):
            assert message.cause == f"{message.against}_silent"
            assert message.return_required is False


@pytest.mark.rule("R41")
def test_a_silent_seller_grants_the_buyers_terms_with_their_return() -> None:
    claim = Offer(offer_id=1, by="buyer", terms=Terms(kind="return_and_refund", refund_minor=7_000))
    room = room_at("assigned>asked_seller", policy=under(mediation_seller_silence="buyer_wins"), claim=claim)

    (defaulted,) = [message for message in room.ring_after("answer") if isinstance(message, MediationDefaulted)]

    assert (defaulted.refund_minor, defaulted.return_required) == (7_000, True)


@pytest.mark.rule("R40")
def test_a_question_gives_seven_business_days_and_an_answer_at_the_last_instant_is_in_time() -> None:
    room = room_at("assigned")
    asked = room.ask("buyer")[0]
    assert isinstance(asked, QuestionAsked)
    assert asked.answer_by == datetime(2026, 3, 11, 12, tzinfo=UTC)

    room.now = asked.answer_by
    assert outcome(room.answer(BUYER)) == "answered"


@pytest.mark.rule("R40")
def test_an_answer_a_millisecond_late_finds_the_case_decided_and_says_when_it_was_lost() -> None:
    room = room_at("assigned>asked_buyer")
    room.until("answer")

    said = room.answer(BUYER)

    assert outcome(said) == "answer_missed+defaulted+seat+too_late"
    (refused,) = [message for message in said if isinstance(message, Rejected)]
    assert refused.details == {"lost_at": "2026-03-11T12:00:00.000Z"}


@pytest.mark.rule("R0")
def test_each_question_has_its_own_time_also_when_the_bell_comes_late_for_both() -> None:
    room = room_at("assigned>asked_seller", policy=under(mediation_seller_silence="buyer_wins"))
    room.wait(days=1)
    room.ask("buyer", "q2")
    room.wait(days=30)

    said = room.ring()

    assert outcome(said) == "answer_missed+defaulted+seat"
    assert [message.against for message in said if isinstance(message, MediationDefaulted)] == ["seller"]


@pytest.mark.rule("R41")
def test_after_the_sellers_silence_the_mediator_goes_on_and_his_clock_runs_from_then() -> None:
    room = room_at("assigned>asked_seller")

    missed = room.ring_after("answer")[0]

    assert isinstance(missed, AnswerMissed)
    assert missed.status == "processing"
    assert missed.mediator_due_by is not None
    assert missed.mediator_due_by > room.now + timedelta(days=10)
    assert outcome(room.ask("seller", "q2")) == "question_asked"


@pytest.mark.rule("R39")
def test_the_parties_answer_each_for_himself() -> None:
    room = room_at("assigned>asked_both")

    (answered,) = [message for message in room.answer(SELLER, shows=("e1",)) if isinstance(message, QuestionAnswered)]

    assert (answered.by, answered.status) == ("seller", "waiting_buyer")
    assert [evidence.evidence_id for evidence in answered.evidence] == ["e1"]


@pytest.mark.rule("R58")
def test_evidence_given_with_an_answer_is_never_changed() -> None:
    room = room_at("assigned>asked_both")
    assert outcome(room.answer(BUYER, shows=("e1", "e1"))) == "already_exists"
    room.answer(SELLER, shows=("e1",))

    assert outcome(room.answer(BUYER, shows=("e1",))) == "already_exists"


@pytest.mark.rule("R58")
def test_an_answer_knows_what_was_filed_in_the_dispute_and_by_whom() -> None:
    room = room_at("assigned>asked_both")
    room.show_unasked("u1", by="seller")

    assert outcome(room.answer(BUYER, shows=("p1",))) == "already_exists"
    assert outcome(room.answer(BUYER, shows=("s1",))) == "already_exists"
    assert outcome(room.answer(BUYER, shows=("u1",))) == "already_exists"
    assert outcome(room.answer(BUYER, shows=("a1",), supersedes="u9")) == "not_found"
    assert outcome(room.answer(BUYER, shows=("a1",), supersedes="s1")) == "not_allowed"
    assert outcome(room.answer(BUYER, shows=("a1",), supersedes="p1")) == "answered"
    assert outcome(room.answer(SELLER, shows=("a2",), supersedes="u1")) == "answered"


@pytest.mark.rule("R58")
def test_what_was_shown_unasked_counts_for_the_round_too() -> None:
    room = room_at("assigned>asked_both")
    room.show_unasked("u1")
    files = tuple(f"e{number}" for number in range(EVIDENCE_FILES_MAX))

    assert outcome(room.answer(BUYER, shows=files)) == "limit_exceeded"
    assert outcome(room.answer(BUYER, shows=files[:-1])) == "answered"


@pytest.mark.rule("R58")
def test_a_party_shows_twenty_files_a_round_over_all_his_answers() -> None:
    room = room_at("assigned>asked_both")
    files = [f"e{number}" for number in range(EVIDENCE_FILES_MAX + 1)]
    assert outcome(room.answer(BUYER, shows=tuple(files))) == "limit_exceeded"
    room.answer(BUYER, shows=tuple(files[:-1]))
    room.ask("buyer", "q2")

    assert outcome(room.answer(BUYER, "q2", shows=(files[-1],))) == "limit_exceeded"
    assert outcome(room.answer(SELLER, shows=(files[-1],))) == "answered"
    room.answer(BUYER, "q2")
    room.decide()
    room.appeal()
    room.assign("m2")
    room.ask("buyer", "q3", by="m2")
    assert outcome(room.answer(BUYER, "q3", shows=("e-new",))) == "answered"


@pytest.mark.rule("R40")
def test_what_nobody_answered_in_one_round_is_not_held_against_him_in_the_next() -> None:
    room = room_at("assigned>asked_both>decided>appealed")
    assert room.due().name == "mediator_due"
    room.wait(days=11)

    assert outcome(room.ring()) == "-"
    assert room.due().name == "mediator_due"


@pytest.mark.rule("R39")
def test_a_case_has_an_end_of_questions() -> None:
    room = room_at("assigned")
    for number in range(QUESTIONS_MAX):
        assert outcome(room.ask("both", f"q{number}")) == "question_asked"

    assert outcome(room.ask("both", "one-more")) == "limit_exceeded"
