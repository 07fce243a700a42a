"""What can happen in a dispute, and which conversation decides about it (docs/RULES.md §4)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import assert_never, get_args

from schemas.common import Evidence, Terms
from schemas.dispute.commands import (
    AcceptOffer,
    AddEvidence,
    Appeal,
    CancelDispute,
    ConfirmReplacement,
    ConfirmReturn,
    ContestReturn,
    CorrectReturnTracking,
    DisputeResume,
    Escalate,
    MakeOffer,
    ModifyDispute,
    OpenDispute,
    RejectOffer,
    ReportReturn,
    SendMessage,
    ShipReplacement,
    ShipReturn,
    WaiveAppeal,
)
from schemas.dispute.events import DisputeRejected, DisputeRepeated, DisputeResumed
from schemas.dispute.shapes import REASONS_NOT_RECEIVED, DisputeDeadline, FiledEvidence, Side
from schemas.mediation.events import (
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    QuestionAnswered,
)
from schemas.order.events import FreezeRefused, LinesFrozen, Placed, ProtectionExtended, ProtectionShortened, Shipped
from schemas.policy import Policy
from schemas.wire import Role
from services.dispute import cancelling, evidence, negotiating, opening, reminding, returning, rulings
from services.dispute.cancelling import Cancellable
from services.dispute.case import (
    AwaitingReplacement,
    AwaitingReturn,
    AwaitingSeller,
    ClosedDispute,
    DecidedDispute,
    DisputableUntilMoved,
    Dispute,
    DisputeEvidenceNoted,
    InMediation,
    Open,
    Opened,
    PartiesNoted,
    Refused,
    ReplacementUnderway,
    RequestedDispute,
    ReturnUnderway,
)
from services.dispute.opening import CLAIM_NUMBER
from services.dispute.states import Disputes, deadlines, evolve, stamp
from services.dispute.subscriptions import SUBSCRIPTIONS, Foreign
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.rules.evidence import reject_evidence
from shared.rules.refusals import (
    NEVER_CAME,
    NO_REPLACEMENTS,
    NOTHING_IS_THE_SELLERS,
    OWN_OFFER,
    first,
    no_offer,
    too_late,
    who_may,
)

NOTHING = Terms(kind="none", refund_minor=0)
APPEAL_WAIVED = Refusal("not_allowed", "You have waived your appeal.")
WRONG_STATE = Refusal("wrong_state", "This is not possible in the dispute's present state.")

Act = (
    ModifyDispute
    | AddEvidence
    | SendMessage
    | MakeOffer
    | RejectOffer
    | AcceptOffer
    | CancelDispute
    | Escalate
    | ShipReturn
    | CorrectReturnTracking
    | ReportReturn
    | ConfirmReturn
    | ContestReturn
    | ShipReplacement
    | ConfirmReplacement
    | Appeal
    | WaiveAppeal
)
"""What is done in a dispute that is there."""
Commands = OpenDispute | Act

OWN_CLOCKS: Mapping[type[Act], DisputeDeadline] = {
    RejectOffer: "seller_first_response",
    MakeOffer: "seller_first_response",
    AcceptOffer: "seller_first_response",
    ShipReturn: "return_ship",
    ConfirmReturn: "return_confirm",
    ContestReturn: "return_confirm",
    ShipReplacement: "replacement_ship",
    ConfirmReplacement: "replacement_confirm",
    Escalate: "replacement_confirm",
    Appeal: "appeal_window",
    WaiveAppeal: "appeal_window",
}
"""By which clock an act comes too late, whatever the state is by then."""


def decide(disputes: Disputes | None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    known = disputes if disputes is not None else Disputes()
    if isinstance(command, OpenDispute):
        return opening.request(known, command, now)
    dispute = known.get(command.dispute_id)
    if dispute is None:
        return [Refusal("not_found", "There is no such dispute in this order.")]
    by: Side = "seller" if command.actor.role == "seller" else "buyer"
    refusal = first(
        _senseless(dispute, command),
        reject_evidence(_owners(dispute), by, _shown(command)),
        _unknown_offer(dispute, command),
        who_may(command, _people(known, dispute)),
        _wrong_terms(dispute, command, policies),
        _not_his(dispute, command, by),
        _too_late(dispute, command, by, now),
    )
    if refusal:
        return [refusal]
    if isinstance(dispute, RequestedDispute | Refused):
        return [WRONG_STATE]
    return _obey(known, dispute, command, by, now, policies.of(dispute.case.policy))


def _obey(known: Disputes, dispute: Opened, command: Act, by: Side, now: datetime, policy: Policy) -> Sequence[Output]:
    """Which act is possible in which state."""
    match command:
        case ModifyDispute():
            if isinstance(dispute, Open):
                return negotiating.modify(dispute, command, now, policy)
        case AddEvidence():
            if not isinstance(dispute, DecidedDispute | ClosedDispute):
                return evidence.add(dispute, command, by, policy)
        case SendMessage():
            if not isinstance(dispute, InMediation | DecidedDispute | ClosedDispute):
                return evidence.message(dispute.case, by, command.text, now, policy)
        case MakeOffer():
            if isinstance(dispute, Open):
                return negotiating.offer(dispute, by, command.terms, command.message, now, policy)
        case RejectOffer():
            if isinstance(dispute, Open):
                return negotiating.offer(dispute, by, NOTHING, command.message, now, policy)
        case AcceptOffer():
            if isinstance(dispute, Open):
                return negotiating.accept(dispute, command, by, now, policy)
        case CancelDispute():
            if isinstance(dispute, Cancellable):
                return cancelling.cancel(known, dispute, command, now, policy)
        case Escalate():
            if isinstance(dispute, Open):
                return negotiating.escalate(dispute, command, now)
            if isinstance(dispute, ReplacementUnderway):
                return returning.replacement_failed(dispute, command)
        case ShipReturn():
            if isinstance(dispute, AwaitingReturn):
                return returning.ship_return(command, now, policy)
        case ReportReturn():
            if isinstance(dispute, ReturnUnderway):
                return returning.report_return(dispute, command, now, policy)
        case CorrectReturnTracking():
            if isinstance(dispute, ReturnUnderway):
                return returning.correct_tracking(dispute, command)
        case ConfirmReturn():
            if isinstance(dispute, ReturnUnderway):
                return returning.received(dispute, silent=False)
        case ContestReturn():
            if isinstance(dispute, ReturnUnderway):
                return returning.contest_return(dispute, command)
        case ShipReplacement():
            if isinstance(dispute, AwaitingReplacement):
                return returning.ship_replacement(command, now, policy)
        case ConfirmReplacement():
            if isinstance(dispute, ReplacementUnderway):
                return returning.replaced(dispute)
        case Appeal():
            if isinstance(dispute, DecidedDispute):
                return rulings.appeal(dispute, command, by)
        case WaiveAppeal():
            if isinstance(dispute, DecidedDispute):
                return rulings.waive(dispute, command, by, now, policy)
        case _:
            assert_never(command)
    return [WRONG_STATE]


def _owners(dispute: Dispute) -> Mapping[str, Side]:
    filed = dispute.filed if isinstance(dispute, RequestedDispute | Refused) else dispute.case.filed
    return {one.evidence_id: one.by for one in filed}


def _shown(command: Act) -> Sequence[Evidence]:
    match command:
        case ModifyDispute() | AddEvidence() | ContestReturn() | Appeal():
            return command.evidence
        case _:
            return ()


def _senseless(dispute: Dispute, command: Act) -> Refusal | None:
    """What the buyer says he has not received cannot be sent back (R73)."""
    match dispute:
        case Refused():
            return None
        case RequestedDispute(received=received, terms=claimed):
            pass
        case _:
            received, claimed = dispute.case.received, dispute.case.claim.terms
    match command:
        case ModifyDispute(reason=reason, terms=terms) if reason or terms:
            received = received if reason is None else reason not in REASONS_NOT_RECEIVED
            terms = terms or claimed
        case MakeOffer(terms=terms):
            pass
        case _:
            return None
    if received or terms.kind != "return_and_refund":
        return None
    return NEVER_CAME


def _people(known: Disputes, dispute: Dispute) -> Mapping[Role, Collection[str]]:
    """The order's parties; where the order service has not said who they are, the seller is known once the dispute is
    open."""
    if known.buyer_id is not None and known.seller_id is not None:
        return {"buyer": {known.buyer_id}, "seller": {known.seller_id}}
    if isinstance(dispute, RequestedDispute | Refused):
        return {"buyer": {dispute.buyer_id}}
    return {"buyer": {dispute.case.buyer.id}, "seller": {dispute.case.seller.id}}


def _wrong_terms(dispute: Dispute, command: Act, policies: Policies) -> Refusal | None:
    """Nothing is the seller's to offer, a replacement only under a policy that knows it (R12)."""
    match command:
        case ModifyDispute(terms=Terms(kind=kind)) | MakeOffer(terms=Terms(kind=kind)):
            if kind == "none" and command.actor.role == "buyer":
                return NOTHING_IS_THE_SELLERS
            if kind == "replacement" and not _replaceable(dispute, policies):
                return NO_REPLACEMENTS
    return None


def _unknown_offer(dispute: Dispute, command: Act) -> Refusal | None:
    """While mediation numbers on, who accepts here what was offered there is told where the dispute is instead."""
    if not isinstance(command, AcceptOffer) or isinstance(dispute, InMediation):
        return None
    last = CLAIM_NUMBER if isinstance(dispute, RequestedDispute | Refused) else dispute.case.last_offer_id
    return no_offer(command.offer_id) if command.offer_id > last else None


def _not_his(dispute: Dispute, command: Act, by: Side) -> Refusal | None:
    """Whatever the state: nobody accepts his own offer, and who waived his appeal has none."""
    match dispute, command:
        case RequestedDispute() | Refused(), _:
            return None
        case _, AcceptOffer(offer_id=number):
            return OWN_OFFER if dispute.case.newest.get(by) == number else None
        case _, Appeal():
            return APPEAL_WAIVED if by in dispute.case.waived else None
        case _:
            return None


def _replaceable(dispute: Dispute, policies: Policies) -> bool:
    """As far as is known: the policy comes with the frozen lines."""
    return isinstance(dispute, RequestedDispute | Refused) or policies.of(dispute.case.policy).replacement


def _too_late(dispute: Dispute, command: Act, by: Side, now: datetime) -> Refusal | None:
    """The buyer's offers have no clock: he is never the one who must answer."""
    clock = OWN_CLOCKS.get(type(command))
    if (
        clock is None
        or isinstance(dispute, RequestedDispute | Refused)
        or (clock == "seller_first_response" and by == "buyer")
    ):
        return None
    lost_at = dispute.case.clocks.get(clock)
    return None if lost_at is None or now <= lost_at else too_late(lost_at)


def react(disputes: Disputes | None, event: Foreign, now: datetime, policies: Policies) -> Sequence[Output]:
    """What we did not ask for, or no longer wait for, changes nothing."""
    known = disputes if disputes is not None else Disputes()
    match event:
        case Placed():
            return [] if known.buyer_id else [PartiesNoted(buyer_id=event.buyer.id, seller_id=event.seller.id)]
        case Shipped() | ProtectionExtended() | ProtectionShortened():
            return _protection_moved(known, event)
        case LinesFrozen():
            if isinstance(dispute := known.get(event.dispute_id), RequestedDispute):
                return opening.opened(dispute, event, now, policies.of(event.policy))
        case FreezeRefused():
            if isinstance(dispute := known.get(event.dispute_id), RequestedDispute):
                return opening.refused(dispute, event)
        case MediationDecided() | MediationDefaulted() | MediationOfferAccepted() | MediationCancelled():
            if isinstance(dispute := known.get(event.dispute_id), InMediation):
                return rulings.follow(known, dispute, event, now, policies.of(dispute.case.policy))
        case QuestionAnswered():
            if event.evidence and isinstance(known.get(event.dispute_id), InMediation):
                filed = tuple(FiledEvidence(evidence_id=one.evidence_id, by=event.by) for one in event.evidence)
                return [DisputeEvidenceNoted(dispute_id=event.dispute_id, filed=filed)]
        case _:
            assert_never(event)
    return []


def _protection_moved(known: Disputes, moved: Shipped | ProtectionExtended | ProtectionShortened) -> list[Output]:
    """A dispute that is not open yet is told by its frozen lines. One that is closed notes it, too: whether it was
    closed before is told nobody."""
    if any(not isinstance(dispute, RequestedDispute | Refused) for dispute in known.values()):
        return [DisputableUntilMoved(disputable_until=moved.disputable_until)]
    return []


def expire(
    disputes: Disputes | None, deadline: Deadline[DisputeDeadline], now: datetime, policies: Policies
) -> Sequence[Output]:
    """What happens because nothing else did (docs/RULES.md, timer service)."""
    assert disputes is not None
    dispute = disputes[deadline.subject]
    assert not isinstance(dispute, RequestedDispute | Refused)  # they hold no deadline
    policy = policies.of(dispute.case.policy)
    match deadline.name:
        case "seller_first_response":
            return negotiating.seller_silent(dispute, now, policy) if isinstance(dispute, AwaitingSeller) else []
        case "auto_escalation":
            return negotiating.no_agreement(dispute) if isinstance(dispute, Open) else []
        case "return_ship":
            return returning.return_not_shipped(dispute) if isinstance(dispute, AwaitingReturn) else []
        case "return_confirm":
            return returning.unanswered(dispute) if isinstance(dispute, ReturnUnderway) else []
        case "replacement_ship":
            return returning.replacement_not_shipped(dispute) if isinstance(dispute, AwaitingReplacement) else []
        case "replacement_confirm":
            return returning.replaced(dispute) if isinstance(dispute, ReplacementUnderway) else []
        case "appeal_window":
            return rulings.unappealed(dispute, now, policy) if isinstance(dispute, DecidedDispute) else []
        case "reminder":
            end = reminding.end(disputes, dispute)
            otherwise = expire(disputes, end, now, policies) if now < end.due_at else ()
            return reminding.remind(dispute, end.due_at, otherwise)
        case _:
            assert_never(deadline.name)


DECIDER: Decider[Disputes, Commands, Foreign] = Decider(
    service="dispute",
    commands=get_args(Commands),
    decide=decide,
    subscriptions=SUBSCRIPTIONS,
    react=react,
    deadlines=deadlines,
    deadline_names=get_args(DisputeDeadline),
    expire=expire,
    evolve=evolve,
    stamp=stamp,
    rejected=DisputeRejected,
    repeated=DisputeRepeated,
    resume=DisputeResume,
    resumed=DisputeResumed,
)
