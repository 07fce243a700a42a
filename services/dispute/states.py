"""What a dispute is: a union of states, which of its clocks run, and its name for the outside.

Requested -> Refused
Requested -> AwaitingSeller -> Negotiating -> InMediation -> Decided -> Closed
             AwaitingReturn -> ReturnUnderway, AwaitingReplacement -> ReplacementUnderway
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from schemas.common import FrozenLine, Offer, Party, PolicyRef, Terms
from schemas.dispute import events
from schemas.dispute.shapes import DisputeStatus, FiledEvidence, Outcome, Side
from schemas.example import fields
from schemas.wire import Event, Id, Instant, PrivateEvent
from shared.kernel.decider import Deadline

SELLER_FIRST_RESPONSE = "seller_first_response"
AUTO_ESCALATION = "auto_escalation"
RETURN_SHIP = "return_ship"
RETURN_CONFIRM = "return_confirm"
REPLACEMENT_SHIP = "replacement_ship"
REPLACEMENT_CONFIRM = "replacement_confirm"
APPEAL_WINDOW = "appeal_window"


class DisputableUntilMoved(PrivateEvent):
    """The seller extended the order's protection: cancelling leaves the buyer his rights for longer (R4, R30)."""

    type = "dispute.disputable_until_moved.v1"
    example = fields(disputable_until="2026-05-03T15:30:00.000Z")

    disputable_until: Instant


class EvidenceNoted(PrivateEvent):
    """Shown to the mediator who asked: a file of this dispute as any other (R58)."""

    type = "dispute.evidence_noted.v1"
    example = fields(dispute_id="A-1001.d1", filed=[{"evidence_id": "e1", "by": "buyer"}])

    dispute_id: Id
    filed: tuple[FiledEvidence, ...]


@dataclass(frozen=True, slots=True)
class Filed:
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
    filed: tuple[Filed, ...]
    clocks: Mapping[str, datetime]
    """Every clock that was ever started, by the name of its deadline. Which of them run, the state says (`RUNS`)."""
    round: int = 0
    decided: bool = False
    """Mediation has decided once: from then on cancelling gives everything to the seller (R33)."""
    appealed: bool = False
    return_contested: bool = False


@dataclass(frozen=True, slots=True)
class Requested:
    """The order service is asked whether these lines may be disputed."""

    buyer_id: str
    received: bool
    terms: Terms
    filed: tuple[Filed, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """They may not."""

    buyer_id: str
    filed: tuple[Filed, ...]


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
class Decided:
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
class Closed:
    case: Case


Open = AwaitingSeller | Negotiating
Opened = (
    Open | InMediation | Decided | AwaitingReturn | ReturnUnderway | AwaitingReplacement | ReplacementUnderway | Closed
)
Dispute = Requested | Refused | Opened
Disputes = Mapping[str, Dispute]
"""All disputes of one order, by `dispute_id`."""

STATUS: Mapping[type[Dispute], DisputeStatus] = {
    Requested: "requested",
    Refused: "closed",
    AwaitingSeller: "awaiting_seller",
    Negotiating: "negotiating",
    InMediation: "in_mediation",
    Decided: "decided",
    AwaitingReturn: "awaiting_return",
    ReturnUnderway: "return_shipped",
    AwaitingReplacement: "awaiting_replacement",
    ReplacementUnderway: "replacement_shipped",
    Closed: "closed",
}
RUNS: Mapping[type[Dispute], tuple[str, ...]] = {
    AwaitingSeller: (SELLER_FIRST_RESPONSE, AUTO_ESCALATION),
    Negotiating: (AUTO_ESCALATION,),
    Decided: (APPEAL_WINDOW,),
    AwaitingReturn: (RETURN_SHIP,),
    ReturnUnderway: (RETURN_CONFIRM,),
    AwaitingReplacement: (REPLACEMENT_SHIP,),
    ReplacementUnderway: (REPLACEMENT_CONFIRM,),
}
"""Which clocks run in which state (docs/RULES.md, timer service)."""


def deadlines(disputes: Disputes | None) -> Iterable[Deadline]:
    for dispute in (disputes or {}).values():
        if isinstance(dispute, Requested | Refused):
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
        case Requested() | Refused() | AwaitingSeller() | Negotiating():
            return "negotiation"
        case InMediation(case=case) | Decided(case=case):
            return round_name(case.round)
        case AwaitingReturn() | ReturnUnderway():
            return "return"
        case AwaitingReplacement() | ReplacementUnderway():
            return "replacement"
        case Closed():
            return "closed"
        case _:
            assert_never(dispute)
