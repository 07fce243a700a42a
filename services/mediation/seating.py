"""Rounds open, somebody takes the seat, who is no party, and somebody else when he does not act (R48, R70)."""

from datetime import datetime

from schemas.dispute.events import DisputeAppealed, DisputeEscalated
from schemas.mediation.commands import AssignMediator, Seat
from schemas.mediation.events import CaseEvent, MediationAssigned, MediationOpened, MediationOverdue
from schemas.mediation.shapes import Mediator
from schemas.policy import Policy
from schemas.wire import Actor
from services.mediation.case import ROUND_OVER, Case, CaseFile, DecidedCase, InRound, due_unless_asked, no_right
from services.mediation.policy import mediator_due_by, round_ends_by
from shared.kernel.decider import Output, Refusal
from shared.kernel.policies import Policies

PLATFORM = Actor(role="platform", id="mediation")


def escalated(case: Case | None, event: DisputeEscalated, time: datetime, policies: Policies) -> list[Output]:
    """The first round, or another after a return or replacement that an earlier one led to went wrong."""
    if isinstance(case, InRound):
        return []  # escalation is one-way: the round goes on
    policy = policies.of(event.policy)
    opened = MediationOpened(
        dispute_id=event.dispute_id,
        round=event.round,
        cause=event.cause,
        buyer=event.buyer.only_id,
        seller=event.seller.only_id,
        policy=event.policy,
        claimed_minor=event.claimed_minor,
        received=event.received,
        offers=event.offers,
        last_offer_id=max(event.last_offer_id, case.file.last_offer_id if case else 1),
        filed=event.filed,
        mediator_due_by=mediator_due_by(time, policy),
        round_ends_by=round_ends_by(time, policy),
    )
    parties = (event.buyer.id, event.seller.id)
    sat = case.file.sat if case else ()
    return [opened, _wanted(event.order_id, event.dispute_id, event.round, parties, sat)]


def appealed(case: Case | None, event: DisputeAppealed, time: datetime, policies: Policies) -> list[Output]:
    if not isinstance(case, DecidedCase):
        return []  # only a ruling can be appealed
    file = case.file
    policy = policies.of(file.policy)
    opened = MediationOpened(
        dispute_id=file.dispute_id,
        round=event.round,
        cause="appealed",
        appealed_by=event.by,
        buyer=file.buyer,
        seller=file.seller,
        policy=file.policy,
        claimed_minor=file.claimed_minor,
        received=file.received,
        offers=(file.claim,),
        last_offer_id=file.last_offer_id,
        filed=event.filed,
        mediator_due_by=mediator_due_by(time, policy),
        round_ends_by=round_ends_by(time, policy),
    )
    return [opened, _wanted(file.order_id, file.dispute_id, event.round, file.parties, file.sat)]


def assign(case: Case, command: AssignMediator, time: datetime, policy: Policy) -> list[Output]:
    """By hand anybody may be put in anybody's place, but no party, and on appeal nobody who had an earlier round."""
    mediator = command.mediator_id
    if refusal := no_right(case, command):
        return [refusal]
    if mediator in case.file.parties:
        return [Refusal("not_allowed", f"{mediator} is a party of this order: nobody judges his own case.")]
    on_appeal = isinstance(case, InRound) and case.appeal is not None
    if on_appeal and mediator in case.file.sat_before:
        return [Refusal("not_allowed", f"The mediator {mediator} had this case before.")]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if case.mediator_id == mediator:
        return [Refusal("wrong_state", f"The mediator {mediator} has this case already.")]
    return [_assigned(case, command, time, policy), _taken(case.file, mediator)]


def given(case: Case | None, answer: AssignMediator, time: datetime, policies: Policies) -> list[Output]:
    """The roster answers a wish that may be over by now. Where its answer holds it need not be told so."""
    if not isinstance(case, InRound) or time > case.round_ends_by:
        return []
    if case.mediator_id is not None:  # by hand meanwhile, or by a roster that was put back since
        return [] if case.mediator_id == answer.mediator_id else [_taken(case.file, case.mediator_id)]
    if any(mediator == answer.mediator_id for _, mediator in case.file.sat):
        return []
    if answer.mediator_id in case.file.parties:
        return [_still_wanted(case.file)]  # by a wish from before parties were barred
    return [_assigned(case, answer, time, policies.of(case.file.policy))]


def _assigned(case: InRound, chosen: AssignMediator, time: datetime, policy: Policy) -> MediationAssigned:
    return MediationAssigned(
        dispute_id=case.file.dispute_id,
        round=case.file.round,
        mediator=Mediator(id=chosen.mediator_id, email=chosen.email, locale=chosen.locale),
        mediator_due_by=due_unless_asked(case.awaited, time, policy),
    )


def overdue(case: InRound, time: datetime, policy: Policy) -> list[Output]:
    """He loses the case; where nobody had it, that is only said again."""
    file = case.file
    event = MediationOverdue(
        dispute_id=file.dispute_id,
        round=file.round,
        mediator_id=case.mediator_id,
        mediator_due_by=mediator_due_by(time, policy),
    )
    if case.mediator_id is None:
        return [event]
    return [event, _still_wanted(file)]


def ended(case: InRound, last: CaseEvent) -> list[Output]:
    """The round is over: nobody has its seat and nobody is wanted."""
    return [last, _taken(case.file, None)]


def _still_wanted(file: CaseFile) -> Seat:
    return _wanted(file.order_id, file.dispute_id, file.round, file.parties, file.sat)


def _wanted(
    order_id: str, dispute_id: str, round_: int, parties: tuple[str, str], sat: tuple[tuple[int, str], ...]
) -> Seat:
    """Somebody whose case it is not, and who has not had it yet."""
    return Seat(
        order_id=order_id,
        actor=PLATFORM,
        dispute_id=dispute_id,
        round=round_,
        wanted=True,
        except_=tuple(dict.fromkeys((*parties, *(mediator for _, mediator in sat)))),
    )


def _taken(file: CaseFile, mediator_id: str | None) -> Seat:
    return Seat(
        order_id=file.order_id,
        actor=PLATFORM,
        dispute_id=file.dispute_id,
        round=file.round,
        mediator_id=mediator_id,
        wanted=False,
        except_=(),
    )
