"""What can happen in a dispute, and which conversation decides about it (docs/RULES.md §4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.common import Evidence, Terms
from schemas.dispute.commands import (
    AcceptOffer,
    AddEvidence,
    Appeal,
    CancelDispute,
    ConfirmReplacement,
    ConfirmReturn,
    ContestReturn,
    DisputeCommand,
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
from schemas.dispute.events import DisputeRejected, DisputeResumed, MessageSent
from schemas.dispute.shapes import REASONS_NOT_RECEIVED, FiledEvidence, Side
from schemas.mediation.events import (
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    QuestionAnswered,
)
from schemas.order.events import FreezeRefused, LinesFrozen, ProtectionExtended
from schemas.wire import rfc3339
from services.dispute import cancelling, evidence, negotiating, opening, returning, rulings
from services.dispute.history import evolve
from services.dispute.states import (
    APPEAL_WINDOW,
    AUTO_ESCALATION,
    REPLACEMENT_CONFIRM,
    REPLACEMENT_SHIP,
    RETURN_CONFIRM,
    RETURN_SHIP,
    SELLER_FIRST_RESPONSE,
    AwaitingReplacement,
    AwaitingReturn,
    AwaitingSeller,
    Closed,
    Decided,
    DisputableUntilMoved,
    Dispute,
    Disputes,
    EvidenceNoted,
    InMediation,
    Negotiating,
    Refused,
    ReplacementUnderway,
    Requested,
    ReturnUnderway,
    deadlines,
    stamp,
)
from services.dispute.subscriptions import SUBSCRIPTIONS
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.rules.evidence import reject_evidence
from shared.rules.policies import Policies

NOTHING = Terms(kind="none", refund_minor=0)
Answer = LinesFrozen | FreezeRefused

OWN_CLOCKS: Mapping[type[DisputeCommand], str] = {
    RejectOffer: SELLER_FIRST_RESPONSE,
    MakeOffer: SELLER_FIRST_RESPONSE,
    AcceptOffer: SELLER_FIRST_RESPONSE,
    ShipReturn: RETURN_SHIP,
    ConfirmReturn: RETURN_CONFIRM,
    ContestReturn: RETURN_CONFIRM,
    ShipReplacement: REPLACEMENT_SHIP,
    ConfirmReplacement: REPLACEMENT_CONFIRM,
    Escalate: REPLACEMENT_CONFIRM,
    Appeal: APPEAL_WINDOW,
    WaiveAppeal: APPEAL_WINDOW,
}
"""By which clock an act comes too late, whatever the state is by then."""


def decide(disputes: Disputes | None, message: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    known = disputes or {}
    match message:
        case OpenDispute():
            return opening.request(known, message, time)
        case DisputeCommand():
            return _obey(known, message, time, policies)
        case Deadline():
            return _overdue(known[message.subject], message.name, time, policies)
        case ProtectionExtended():
            return _extended(known, message)
        case _:
            return _heard(known, message, time, policies)


def _obey(known: Disputes, command: DisputeCommand, time: datetime, policies: Policies) -> list[Output]:
    dispute = known.get(command.dispute_id)
    if dispute is None:
        return [Refusal("not_found", "There is no such dispute in this order.")]
    by: Side = "seller" if command.actor.role == "seller" else "buyer"
    refusal = (
        _senseless(dispute, command)
        or reject_evidence(_owners(dispute), by, _shown(command))
        or _no_right(dispute, command)
        or _wrong_terms(dispute, command, policies)
        or _too_late(dispute, command, by, time)
    )
    return [refusal] if refusal else _allowed(known, dispute, command, by, time, policies)


def _allowed(
    known: Disputes, dispute: Dispute, command: DisputeCommand, by: Side, time: datetime, policies: Policies
) -> list[Output]:
    """Which act is possible in which state."""
    wrong_state = Refusal("wrong_state", "This is not possible in the dispute's present state.")
    if isinstance(dispute, Requested | Refused):
        return [wrong_state]
    policy = policies.of(dispute.case.policy)
    match dispute, command:
        case AwaitingSeller() | Negotiating(), ModifyDispute():
            return negotiating.modify(dispute, command, time, policy)
        case AwaitingSeller() | Negotiating(), MakeOffer():
            return negotiating.offer(dispute, by, command.terms, command.message, time, policy)
        case AwaitingSeller() | Negotiating(), RejectOffer():
            return negotiating.offer(dispute, by, NOTHING, command.message, time, policy)
        case AwaitingSeller() | Negotiating(), AcceptOffer():
            return negotiating.accept(dispute, command, by, time, policy)
        case AwaitingSeller() | Negotiating(), Escalate():
            return negotiating.escalate(dispute, command, time)
        case AwaitingSeller() | Negotiating() | AwaitingReturn() | AwaitingReplacement(), CancelDispute():
            return cancelling.cancel(known, dispute, command, time, policy)
        case AwaitingReturn(), ShipReturn():
            return returning.ship_return(command, time, policy)
        case ReturnUnderway(), ReportReturn():
            return returning.report_return(dispute, command, time, policy)
        case ReturnUnderway(), ConfirmReturn():
            return returning.received(dispute, silent=False)
        case ReturnUnderway(), ContestReturn():
            return returning.contest_return(dispute, command)
        case AwaitingReplacement(), ShipReplacement():
            return returning.ship_replacement(command, time, policy)
        case ReplacementUnderway(), ConfirmReplacement():
            return returning.replaced(dispute)
        case ReplacementUnderway(), Escalate():
            return returning.replacement_failed(dispute, command)
        case Decided(), Appeal():
            return rulings.appeal(dispute, command, by)
        case Decided(), WaiveAppeal():
            return rulings.waive(dispute, command, by, time, policy)
        case Decided() | Closed(), _:
            return [wrong_state]
        case _, AddEvidence():
            return evidence.add(dispute, command, by, policy)
        case InMediation(), _:
            return [wrong_state]
        case _, SendMessage():
            return [MessageSent(dispute_id=command.dispute_id, by=by, text=command.text)]
        case _:
            return [wrong_state]


def _owners(dispute: Dispute) -> Mapping[str, Side]:
    filed = dispute.filed if isinstance(dispute, Requested | Refused) else dispute.case.filed
    return {one.evidence_id: one.by for one in filed}


def _shown(command: DisputeCommand) -> Sequence[Evidence]:
    match command:
        case ModifyDispute() | AddEvidence() | ContestReturn() | Appeal():
            return command.evidence
        case _:
            return ()


def _senseless(dispute: Dispute, command: DisputeCommand) -> Refusal | None:
    """What the buyer says he has not received cannot be sent back (R12)."""
    match dispute:
        case Refused():
            return None
        case Requested(received=received, terms=claimed):
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
    return Refusal("invalid", "What was not received cannot be sent back.")


def _no_right(dispute: Dispute, command: DisputeCommand) -> Refusal | None:
    """By role, and by who the order's parties are; the seller is known once the dispute is open."""
    role, person = command.actor.role, command.actor.id
    if role not in command.by:
        return Refusal("not_allowed", f"A {role} cannot do this.")
    if isinstance(dispute, Requested | Refused):
        people = {"buyer": dispute.buyer_id}
    else:
        people = {"buyer": dispute.case.buyer.id, "seller": dispute.case.seller.id}
    if people.get(role, person) != person:
        return Refusal("not_allowed", f"You are not the {role} of this order.")
    return None


def _wrong_terms(dispute: Dispute, command: DisputeCommand, policies: Policies) -> Refusal | None:
    """Nothing is the seller's to offer, a replacement only under a policy that knows it (R12)."""
    match command:
        case ModifyDispute(terms=Terms(kind=kind)) | MakeOffer(terms=Terms(kind=kind)):
            if kind == "none" and command.actor.role == "buyer":
                return Refusal("not_allowed", "Only the seller can offer nothing.")
            if kind == "replacement" and not _replaceable(dispute, policies):
                return Refusal("not_allowed", "Replacements are not offered for this order.")
    return None


def _replaceable(dispute: Dispute, policies: Policies) -> bool:
    """As far as is known: the policy comes with the frozen lines."""
    return isinstance(dispute, Requested | Refused) or policies.of(dispute.case.policy).replacement


def _too_late(dispute: Dispute, command: DisputeCommand, by: Side, time: datetime) -> Refusal | None:
    """The buyer's offers have no clock: he is never the one who must answer."""
    clock = OWN_CLOCKS.get(type(command))
    if clock is None or isinstance(dispute, Requested | Refused) or (clock == SELLER_FIRST_RESPONSE and by == "buyer"):
        return None
    lost_at = dispute.case.clocks.get(clock)
    if lost_at is None or time <= lost_at:
        return None
    return Refusal("too_late", "The time for this has passed.", {"lost_at": rfc3339(lost_at)})


def _overdue(dispute: Dispute, name: str, time: datetime, policies: Policies) -> list[Output]:
    """What happens because nothing else did (docs/RULES.md, timer service)."""
    assert not isinstance(dispute, Requested | Refused)  # they hold no deadline
    policy = policies.of(dispute.case.policy)
    match dispute:
        case AwaitingSeller() if name == SELLER_FIRST_RESPONSE:
            return negotiating.seller_silent(dispute, time, policy)
        case AwaitingSeller() | Negotiating():
            return negotiating.no_agreement(dispute)
        case Decided():
            return rulings.unappealed(dispute, time, policy)
        case AwaitingReturn():
            return returning.return_not_shipped(dispute)
        case ReturnUnderway():
            return returning.received(dispute, silent=True)
        case AwaitingReplacement():
            return returning.replacement_not_shipped(dispute)
        case ReplacementUnderway():
            return returning.replaced(dispute)
        case _:
            return []


def _heard(
    known: Disputes, message: Answer | rulings.Word | QuestionAnswered, time: datetime, policies: Policies
) -> list[Output]:
    """What we did not ask for, or no longer wait for, changes nothing."""
    match known.get(message.dispute_id), message:
        case Requested() as dispute, LinesFrozen():
            return opening.opened(dispute, message, time, policies.of(message.policy))
        case Requested(), FreezeRefused():
            return opening.refused(message)
        case (
            InMediation() as dispute,
            MediationDecided() | MediationDefaulted() | MediationOfferAccepted() | MediationCancelled(),
        ):
            return rulings.follow(known, dispute, message, time, policies.of(dispute.case.policy))
        case InMediation(), QuestionAnswered(evidence=(_, *_) as shown):
            filed = tuple(FiledEvidence(evidence_id=one.evidence_id, by=message.by) for one in shown)
            return [EvidenceNoted(dispute_id=message.dispute_id, filed=filed)]
        case _:
            return []


def _extended(known: Disputes, extended: ProtectionExtended) -> list[Output]:
    """A dispute that is not open yet is told by its frozen lines."""
    if any(not isinstance(dispute, Requested | Refused | Closed) for dispute in known.values()):
        return [DisputableUntilMoved(disputable_until=extended.disputable_until)]
    return []


DECIDER: Decider[Disputes] = Decider(
    service="dispute",
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    rejected=DisputeRejected,
    resumed=DisputeResumed,
    hears=SUBSCRIPTIONS,
    stamp=stamp,
    deadline_names=(
        SELLER_FIRST_RESPONSE,
        AUTO_ESCALATION,
        RETURN_SHIP,
        RETURN_CONFIRM,
        REPLACEMENT_SHIP,
        REPLACEMENT_CONFIRM,
        APPEAL_WINDOW,
    ),
)
