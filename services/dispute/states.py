"""What a dispute is: a union of states, which of its clocks run, its name for the outside, and how its own events make
it what it is. They have happened: `evolve` neither refuses nor raises.

RequestedDispute -> Refused
RequestedDispute -> AwaitingSeller -> Negotiating -> InMediation -> DecidedDispute -> ClosedDispute
             AwaitingReturn -> ReturnUnderway, AwaitingReplacement -> ReplacementUnderway
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, assert_never

from schemas.common import Evidence, FrozenLine, Offer, Party, PolicyRef, Terms
from schemas.dispute import events
from schemas.dispute.shapes import DisputeStatus, FiledEvidence, Outcome, Side
from schemas.example import fields
from schemas.instants import Instant
from schemas.wire import Actor, Event, Id, PrivateEvent
from shared.kernel.decider import Deadline

DisputeDeadline = Literal[
    "seller_first_response",
    "auto_escalation",
    "return_ship",
    "return_confirm",
    "replacement_ship",
    "replacement_confirm",
    "appeal_window",
]
"""Those of one instant happen in this order (docs/RULES.md, timer service)."""


class DisputableUntilMoved(PrivateEvent):
    """The seller extended the order's protection: cancelling leaves the buyer his rights for longer (R4, R30)."""

    type = "dispute.disputable_until_moved.v1"
    example = fields(disputable_until="2026-05-03T15:30:00.000Z")

    disputable_until: Instant


class DisputeEvidenceNoted(PrivateEvent):
    """Shown to the mediator who asked: a file of this dispute as any other (R58)."""

    type = "dispute.evidence_noted.v1"
    example = fields(dispute_id="A-1001.d1", filed=[{"evidence_id": "e1", "by": "buyer"}])

    dispute_id: Id
    filed: tuple[FiledEvidence, ...]


@dataclass(frozen=True, slots=True)
class FiledInStage:
    """A file that was shown; each party may show so many in one stage (R58)."""

    evidence_id: str
    by: Side
    stage: str


@dataclass(frozen=True, slots=True)
class Case:
    """What an opened dispute keeps through all its states."""

    dispute_id: str
    buyer: Party
    seller: Party
    policy: PolicyRef
    lines: tuple[FrozenLine, ...]
    received: bool
    claimed_minor: int
    disputable_until: datetime
    claim: Offer
    """What the buyer asks for: his open offer, or what was agreed and not kept."""
    last_offer_id: int
    filed: tuple[FiledInStage, ...]
    clocks: Mapping[DisputeDeadline, datetime]
    """Every clock that was ever started, by the name of its deadline. Which of them run, the state says (`RUNS`)."""
    round: int = 0
    decided: bool = False
    """Mediation has decided once: from then on cancelling gives everything to the seller (R33)."""
    appealed: bool = False
    return_contested: bool = False


@dataclass(frozen=True, slots=True)
class RequestedDispute:
    """The order service is asked whether these lines may be disputed."""

    buyer_id: str
    received: bool
    terms: Terms
    filed: tuple[FiledInStage, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """They may not."""

    buyer_id: str
    filed: tuple[FiledInStage, ...]


@dataclass(frozen=True, slots=True)
class AwaitingSeller:
    case: Case
    escalatable_from: datetime | None


@dataclass(frozen=True, slots=True)
class Negotiating:
    """The seller has answered."""

    case: Case
    seller_offer: Offer
    escalatable_from: datetime | None


@dataclass(frozen=True, slots=True)
class InMediation:
    """Mediation alone judges; we follow (R37)."""

    case: Case


@dataclass(frozen=True, slots=True)
class DecidedDispute:
    """The money stays put while there may be an appeal (C4)."""

    case: Case
    terms: Terms
    outcome: Outcome
    waived: frozenset[Side] = frozenset()


@dataclass(frozen=True, slots=True)
class AwaitingReturn:
    case: Case
    basis: Outcome
    refund_minor: int


@dataclass(frozen=True, slots=True)
class ReturnUnderway:
    case: Case
    basis: Outcome
    refund_minor: int
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class AwaitingReplacement:
    case: Case
    basis: Outcome
    refund_minor: int


@dataclass(frozen=True, slots=True)
class ReplacementUnderway:
    case: Case


@dataclass(frozen=True, slots=True)
class ClosedDispute:
    case: Case


Open = AwaitingSeller | Negotiating
Opened = (
    Open
    | InMediation
    | DecidedDispute
    | AwaitingReturn
    | ReturnUnderway
    | AwaitingReplacement
    | ReplacementUnderway
    | ClosedDispute
)
Dispute = RequestedDispute | Refused | Opened
Disputes = Mapping[str, Dispute]
"""All disputes of one order, by `dispute_id`."""

STATUS: Mapping[type[Dispute], DisputeStatus] = {
    RequestedDispute: "requested",
    Refused: "closed",
    AwaitingSeller: "awaiting_seller",
    Negotiating: "negotiating",
    InMediation: "in_mediation",
    DecidedDispute: "decided",
    AwaitingReturn: "awaiting_return",
    ReturnUnderway: "return_shipped",
    AwaitingReplacement: "awaiting_replacement",
    ReplacementUnderway: "replacement_shipped",
    ClosedDispute: "closed",
}
RUNS: Mapping[type[Dispute], tuple[DisputeDeadline, ...]] = {
    AwaitingSeller: ("seller_first_response", "auto_escalation"),
    Negotiating: ("auto_escalation",),
    DecidedDispute: ("appeal_window",),
    AwaitingReturn: ("return_ship",),
    ReturnUnderway: ("return_confirm",),
    AwaitingReplacement: ("replacement_ship",),
    ReplacementUnderway: ("replacement_confirm",),
}
"""Which clocks run in which state (docs/RULES.md, timer service)."""


def deadlines(disputes: Disputes | None) -> Iterable[Deadline[DisputeDeadline]]:
    for dispute in (disputes or {}).values():
        if isinstance(dispute, RequestedDispute | Refused):
            continue
        for name in RUNS.get(type(dispute), ()):
            if name in dispute.case.clocks:  # a final decision has no window
                yield Deadline(name, dispute.case.dispute_id, dispute.case.clocks[name])


def stamp(disputes: Disputes | None, event: Event) -> Mapping[str, Any]:
    """Where the dispute stands after the event."""
    if not isinstance(event, events.DisputeEvent | events.DisputeRejected):
        return {}
    dispute = (disputes or {}).get(event.dispute_id or "")
    return {"status": None if dispute is None else STATUS[type(dispute)]}


def round_name(number: int) -> str:
    return f"round {number}"


def stage(dispute: Dispute) -> str:
    """In each stage a party may show so many files (R58)."""
    match dispute:
        case RequestedDispute() | Refused() | AwaitingSeller() | Negotiating():
            return "negotiation"
        case InMediation(case=case) | DecidedDispute(case=case):
            return round_name(case.round)
        case AwaitingReturn() | ReturnUnderway():
            return "return"
        case AwaitingReplacement() | ReplacementUnderway():
            return "replacement"
        case ClosedDispute():
            return "closed"
        case _:
            assert_never(dispute)


def evolve(disputes: Disputes | None, event: Event) -> Disputes | None:
    known = disputes or {}
    match event:
        case DisputableUntilMoved():
            return {
                dispute_id: dispute
                if isinstance(dispute, RequestedDispute | Refused)
                else replace(dispute, case=replace(dispute.case, disputable_until=event.disputable_until))
                for dispute_id, dispute in known.items()
            }
        case events.DisputeRequested(actor=Actor(id=buyer_id)):
            filed = tuple(FiledInStage(one.evidence_id, "buyer", "negotiation") for one in event.evidence)
            return {**known, event.dispute_id: RequestedDispute(buyer_id, event.received, event.terms, filed)}
        case DisputeEvidenceNoted() if event.dispute_id in known:
            return {**known, event.dispute_id: _noted(known[event.dispute_id], event)}
        case events.DisputeEvent() if event.dispute_id in known:
            return {**known, event.dispute_id: _next(known[event.dispute_id], event)}
        case _:
            return disputes


def _next(dispute: Dispute, event: events.DisputeEvent) -> Dispute:
    match dispute:
        case RequestedDispute():
            return _answered(dispute, event)
        case Refused() | ClosedDispute():
            return dispute
        case AwaitingSeller() | Negotiating():
            return _negotiated(dispute, event)
        case _:
            return _proceeded(dispute, event)


def _answered(dispute: RequestedDispute, event: events.DisputeEvent) -> Dispute:
    match event:
        case events.DisputeOpened():
            case = Case(
                dispute_id=event.dispute_id,
                buyer=event.buyer,
                seller=event.seller,
                policy=event.policy,
                lines=event.lines,
                received=dispute.received,
                claimed_minor=event.claimed_minor,
                disputable_until=event.disputable_until,
                claim=Offer(offer_id=event.offer_id, by="buyer", terms=event.terms),
                last_offer_id=event.offer_id,
                filed=dispute.filed,
                clocks={"seller_first_response": event.seller_answer_by, "auto_escalation": event.escalates_at},
            )
            return AwaitingSeller(case, event.escalatable_from)
        case events.OpenRefused():
            return Refused(dispute.buyer_id, dispute.filed)
        case _:
            return dispute


def _negotiated(dispute: Open, event: events.DisputeEvent) -> Dispute:
    case = dispute.case
    match event:
        case events.DisputeModified():
            received = case.received if event.received is None else event.received
            return file(replace(dispute, case=replace(case, received=received)), "buyer", event.evidence)
        case events.OfferMade(by="buyer"):
            claim = Offer(offer_id=event.offer_id, by="buyer", terms=event.terms)
            case = replace(case, claim=claim, last_offer_id=event.offer_id)
            if event.seller_answer_by is not None:
                case = _started(case, "seller_first_response", event.seller_answer_by)
            return replace(dispute, case=case)
        case events.OfferMade(by="seller"):
            offer = Offer(offer_id=event.offer_id, by="seller", terms=event.terms)
            return Negotiating(replace(_answer(case), last_offer_id=event.offer_id), offer, event.escalatable_from)
        case _:
            return _proceeded(dispute, event)


def _proceeded(dispute: Opened, event: events.DisputeEvent) -> Dispute:
    case = dispute.case
    match event:
        case events.EvidenceAdded():
            return file(dispute, event.by, event.evidence)
        case events.OfferAccepted():
            agreed = Offer(offer_id=event.offer_id, by="buyer", terms=event.terms)
            last = max(case.last_offer_id, event.offer_id)
            return replace(dispute, case=replace(_answer(case), claim=agreed, last_offer_id=last))
        case events.DisputeEscalated():
            claim = next((offer for offer in event.offers if offer.by == "buyer"), case.claim)
            return InMediation(replace(case, round=event.round, claim=claim))
        case events.DisputeDecided():
            case = replace(_started(case, "appeal_window", event.appeal_until), decided=True)
            return DecidedDispute(case, ruling(event.refund_minor, event.return_required), outcome(event))
        case events.DisputeAppealed():
            reviewed = InMediation(replace(case, round=event.round, appealed=True))
            return file(reviewed, event.by, event.evidence)
        case events.AppealWaived() if isinstance(dispute, DecidedDispute):
            return replace(dispute, waived=dispute.waived | {event.by})
        case events.ReturnAwaited():
            case = _started(case, "return_ship", event.return_ship_by)
            return AwaitingReturn(case, event.basis, event.refund_minor)
        case events.ReturnShipped() if isinstance(dispute, AwaitingReturn):
            case = _started(case, "return_confirm", event.return_confirm_by)
            return ReturnUnderway(case, dispute.basis, dispute.refund_minor)
        case events.ReturnReported() if isinstance(dispute, ReturnUnderway):
            case = _started(case, "return_confirm", event.return_confirm_by)
            delivered = dispute.delivered or event.tracking_status == "delivered"
            return replace(dispute, case=case, delivered=delivered)
        case events.ReturnContested():
            return file(replace(dispute, case=replace(case, return_contested=True)), "seller", event.evidence)
        case events.ReplacementAwaited():
            case = _started(case, "replacement_ship", event.replacement_ship_by)
            return AwaitingReplacement(case, event.basis, event.refund_minor)
        case events.ReplacementShipped():
            return ReplacementUnderway(_started(case, "replacement_confirm", event.replacement_confirm_by))
        case events.DisputeClosed():
            return ClosedDispute(case)
        case _:
            return dispute


def ruling(refund_minor: int, return_required: bool) -> Terms:
    """A decision, written as terms."""
    if refund_minor == 0:
        return Terms(kind="none", refund_minor=0)
    return Terms(kind="return_and_refund" if return_required else "refund", refund_minor=refund_minor)


def outcome(decision: events.DisputeDecided) -> Outcome:
    """What the dispute will be closed as once the decision is final."""
    cause = decision.cause
    return cause if cause == "buyer_silent" or cause == "seller_silent" else "decided"


def file(dispute: Opened, by: Side, evidence: Iterable[Evidence]) -> Opened:
    filed = tuple(FiledInStage(one.evidence_id, by, stage(dispute)) for one in evidence)
    return replace(dispute, case=replace(dispute.case, filed=dispute.case.filed + filed))


def _noted(dispute: Dispute, event: DisputeEvidenceNoted) -> Dispute:
    if isinstance(dispute, RequestedDispute | Refused):
        return dispute
    filed = tuple(FiledInStage(one.evidence_id, one.by, stage(dispute)) for one in event.filed)
    return replace(dispute, case=replace(dispute.case, filed=dispute.case.filed + filed))


def _started(case: Case, name: DisputeDeadline, ends_at: datetime | None) -> Case:
    """With this clock set (anew); without it when it has no end."""
    clocks = {other: instant for other, instant in case.clocks.items() if other != name}
    return replace(case, clocks=clocks if ends_at is None else {**clocks, name: ends_at})


def _answer(case: Case) -> Case:
    """The seller has answered: he can be silent no more."""
    return _started(case, "seller_first_response", None)
