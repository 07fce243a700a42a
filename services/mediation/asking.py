"""The mediator asks, the parties answer or are silent (R39–R41)."""

from datetime import datetime

from schemas.mediation.commands import AnswerQuestion, AskQuestion
from schemas.mediation.events import AnswerMissed, MediationReminded, QuestionAnswered, QuestionAsked
from schemas.mediation.shapes import MediationDeadline
from schemas.policy import Policy
from services.mediation.case import (
    ROUND_OVER,
    AnswerReminderLapsed,
    Case,
    InRound,
    due_unless_asked,
    no_right,
    side_of,
)
from services.mediation.deciding import default
from services.mediation.policy import QUESTIONS_MAX, answer_by, on_silence
from shared.kernel.decider import Deadline, Output, Refusal
from shared.rules.evidence import reject_evidence, too_many_files
from shared.rules.refusals import too_late
from shared.rules.reminding import remind_at, shown_to


def ask(case: Case, command: AskQuestion, time: datetime, policy: Policy) -> list[Output]:
    if refusal := no_right(case, command):
        return [refusal]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if len(case.file.questions) >= QUESTIONS_MAX:
        return [Refusal("limit_exceeded", f"A case has at most {QUESTIONS_MAX} questions.")]
    ends_at = answer_by(time, policy)
    asked = QuestionAsked(
        dispute_id=case.file.dispute_id,
        question_id=command.question_id,
        to=command.to,
        question=command.question,
        answer_by=ends_at,
        # Where the round ends before, nobody's silence is judged.
        remind_at=remind_at(time, ends_at, policy) if ends_at <= case.round_ends_by else None,
    )
    return [asked]


def answer(case: Case, command: AnswerQuestion, time: datetime, policy: Policy) -> list[Output]:
    file, side = case.file, side_of(command)
    question = file.questions.get(command.question_id)
    if question is None:
        return [Refusal("not_found", f"There is no question {command.question_id}.")]
    if refusal := reject_evidence(file.owners, side, command.evidence) or no_right(case, command):
        return [refusal]
    if side not in question.to:
        return [Refusal("not_allowed", f"The question was not put to the {side}.")]
    if time > question.answer_by:
        return [too_late(question.answer_by)]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if (command.question_id, side) not in case.awaited:
        return [Refusal("wrong_state", "This question waits for no answer.")]
    in_this_round = sum(one.by == side and one.round == file.round for one in file.filed)
    if refusal := too_many_files(in_this_round, command.evidence):
        return [refusal]
    answered = QuestionAnswered(
        dispute_id=file.dispute_id,
        question_id=command.question_id,
        by=side,
        text=command.text,
        evidence=command.evidence,
        mediator_due_by=due_unless_asked(case.awaited - {(command.question_id, side)}, time, policy),
    )
    return [answered]


def silence(case: InRound, deadline: Deadline[MediationDeadline], time: datetime, policy: Policy) -> list[Output]:
    """All who had until this instant are judged together, whichever question it was."""
    questions = case.file.questions
    missed = sorted(one for one in case.awaited if questions[one[0]].answer_by <= deadline.due_at)
    left = case.awaited.difference(missed)
    judgement = on_silence({side for _, side in missed}, case.file.on_claim, policy)
    next_act = None if judgement else due_unless_asked(left, time, policy)
    said: list[Output] = [
        AnswerMissed(dispute_id=case.file.dispute_id, question_id=question_id, by=side, mediator_due_by=next_act)
        for question_id, side in missed
    ]
    return said + (default(case, judgement) if judgement else [])


def remind(case: InRound, question_id: str, time: datetime, policy: Policy) -> list[Output]:
    """Each who has not answered, of what his own silence brings him; not, when it is judged already (R68)."""
    answer_by = case.file.questions[question_id].answer_by
    if time >= answer_by:
        return [AnswerReminderLapsed(dispute_id=case.file.dispute_id, question_id=question_id)]
    return [
        MediationReminded(
            dispute_id=case.file.dispute_id,
            question_id=question_id,
            clock="answer",
            to=side,
            ends_at=answer_by,
            otherwise="decided_on_record" if judgement is None else judgement.effect,
            refund_minor=judgement.ruling.refund_minor if judgement and judgement.effect == "decided" else None,
            visible_to=shown_to(side),
        )
        for _, side in sorted(one for one in case.awaited if one[0] == question_id)
        for judgement in [on_silence({side}, case.file.on_claim, policy)]
    ]
