"""What one dispute is: a union of states, which of its clocks run, and its name for the outside.

How its own events make it what it is stands in evolving.py; all disputes of an order in states.py.

RequestedDispute -> Refused
RequestedDispute -> AwaitingSeller -> Negotiating -> InMediation -> DecidedDispute -> ClosedDispute
             AwaitingReturn -> ReturnUnderway, AwaitingReplacement -> ReplacementUnderway
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from schemas.common import Evidence, FrozenLine, Offer, Party, PolicyRef, Terms, TrackingStatus
from schemas.dispute import events
from schemas.dispute.shapes import DisputeDeadline, DisputeStatus, FiledEvidence, Outcome, Side
from schemas.example import fields
from schemas.instants import Instant
from schemas.wire import Id, PersonId, PrivateEvent


class DisputableUntilMoved(PrivateEvent):
    """The order's protection ends later, by the seller or with another parcel, or earlier, for all has come: so do the
    rights that cancelling leaves the buyer (R4, R30, R66, R67)."""

    type = "dispute.disputable_until_moved.v1"
    example = fields(disputable_until="2026-05-03T15:30:00.000Z")

    disputable_until: Instant


class DisputeEvidenceNoted(PrivateEvent):
    """Shown to the mediator who asked: a file of this dispute as any other (R58)."""

    type = "dispute.evidence_noted.v1"
    example = fields(dispute_id="A-1001.d1", filed=[{"evidence_id": "e1", "by": "buyer"}])

    dispute_id: Id
    filed: tuple[FiledEvidence, ...]


class DisputeReminderLapsed(PrivateEvent):
    """Nobody is reminded any more: it was over when it was noticed, or there is nobody who still could act (R68)."""

    type = "dispute.reminder_lapsed.v1"
    example = fields(dispute_id="A-1001.d1")

    dispute_id: Id


class PartiesNoted(PrivateEvent):
    """Whose order it is: nobody else disputes it (R77)."""

    type = "dispute.parties_noted.v1"
    example = fields(buyer_id="bea", seller_id="sam")

    buyer_id: PersonId
    seller_id: PersonId


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
    """What the buyer asks for: his open offer, or what was agreed, whoever offered it."""
    last_offer_id: int
    filed: tuple[FiledInStage, ...]
    clocks: Mapping[DisputeDeadline, datetime]
    """Every clock that was ever started, by the name of its deadline. Which of them run, the state says (`RUNS`). The
    reminder is that of the clock started last, and gone once it was said."""
    round: int = 0
    decided: bool = False
    """Mediation has decided once: from then on cancelling gives everything to the seller (R33)."""
    appealed: bool = False
    return_contested: bool = False
    newest: Mapping[Side, int] = field(default_factory=dict)
    """The number of each side's newest offer."""
    waived: frozenset[Side] = frozenset()
    """Who has waived his appeal against what was decided last."""
    written: Mapping[Side, tuple[datetime, int]] = field(default_factory=dict)
    """When each party's day of messages began, and how many it sent since (R72)."""


@dataclass(frozen=True, slots=True)
class RequestedDispute:
    """The order service is asked whether these lines may be disputed."""

    buyer_id: str
    received: bool
    terms: Terms
    filed: tuple[FiledInStage, ...]
    command_id: str | None = None
    """Of the command that is answered for good by the order service's word."""


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
    seller_offer: Offer | None
    """None: he offered to take back what, as the buyer says by now, never came (R73)."""
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
    """Once, at least: the seller had his days anew."""
    carrier_says: TrackingStatus | None = None
    """His last word; of what comes back or cannot be delivered silence accepts nothing (R71)."""


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
    AwaitingSeller: ("seller_first_response", "auto_escalation", "reminder"),
    Negotiating: ("auto_escalation",),
    DecidedDispute: ("appeal_window", "reminder"),
    AwaitingReturn: ("return_ship", "reminder"),
    ReturnUnderway: ("return_confirm", "reminder"),
    AwaitingReplacement: ("replacement_ship", "reminder"),
    ReplacementUnderway: ("replacement_confirm", "reminder"),
}
"""Which clocks run in which state (docs/RULES.md, timer service)."""


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


def sends_back(offer: Offer | None) -> bool:
    return offer is not None and offer.terms.kind == "return_and_refund"


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
