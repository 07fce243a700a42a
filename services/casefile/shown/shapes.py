"""What the case file answers, as JSON and as what its pages are made of: the contract of its readers.

Instants are RFC 3339 with milliseconds, money is integer minor units of the order's currency, as on the bus. Whatever
stands here has passed the visibility of whom it is shown (docs/RULES.md §10).
"""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.common import Offer, OrderLine, PolicyRef
from schemas.instants import Instant
from schemas.visibility import Viewer
from schemas.wire import Currency, Id, Role

T = TypeVar("T")
PAGE_MAX = 200
"""Rows of a list at a time."""


class Shown(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)


class AsOf(Shown):
    """How far the case file has read, so that two answers can be told apart and put in order."""

    at: Instant = Field(description="all that was said by then is in the answer")
    records: dict[str, int] = Field(description="topic -> how many of its offsets are in it, over all partitions")
    behind_seconds: float = Field(description="how far it is behind the topics")


class Page(Shown, Generic[T]):
    """Some rows of a list, in its order."""

    items: list[T]
    next: str | None = Field(default=None, description="`cursor` of the rows that follow; null: there are none")
    as_of: AsOf


class ClockShown(Shown):
    """An instant at which something happens if nobody acts first."""

    name: str = Field(description="which deadline, as `deadlines` of the events name it")
    at: Instant


class OrderRow(Shown):
    """An order in a list."""

    order_id: Id
    buyer: str
    seller: str
    status: str
    currency: Currency
    total_minor: int
    placed_at: Instant
    updated_at: Instant
    on_hold: bool = False
    deadlines: list[ClockShown] = []


class CaseRow(Shown):
    """A dispute in the work list."""

    order_id: Id
    dispute_id: Id
    buyer: str
    seller: str
    mediator: str | None = Field(default=None, description="who has the seat; null: it is empty, or there is none")
    mediators: list[str] = Field(default=[], description="all who have or had it, in order")
    status: str = Field(description="in the viewer's words (R38)")
    dispute_status: str
    mediation_status: str | None = None
    waiting_for: list[str] = Field(description="whose turn it is: buyer, seller, mediator, operator, provider")
    due_at: Instant | None = Field(description="when the next clock runs out; null: none runs")
    due_what: str | None = Field(default=None, description="which one")
    deadlines: list[ClockShown] = Field(default=[], description="all that run, the earliest first")
    round: int = Field(description="0: it is not in mediation yet")
    reason: str
    currency: Currency
    claimed_minor: int
    is_appeal: bool = False
    evidence: dict[str, int] = Field(description="buyer, seller -> how many files each has shown")
    opened_at: Instant
    updated_at: Instant


class Why(Shown):
    """A refusal, as the service would say it."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class ActShown(Shown):
    """Something that a player may do or might have done, as the services themselves say."""

    type: str = Field(description="of the command, without its version")
    text: str = Field(default="", description="the same, for people")
    fixed: dict[str, Any] = Field(description="what the command must say as it is: of which dispute, which offer …")
    possible: bool = Field(description="now")
    from_: Instant | None = Field(default=None, alias="from", description="from then on; null: now, or never")
    until: Instant | None = Field(default=None, description="the last instant; null: nothing ends it")
    mandatory: bool = Field(default=False, description="it is his turn: his silence has a consequence")
    then: list[str] = Field(default=[], description="types of the events that follow at once, as he would see them")
    why: Why | None = Field(default=None, description="not possible now: why; null: it is")


class Player(Shown):
    """One of the people of an order, and what he can do."""

    role: Role
    id: str
    available_actions: list[ActShown] = Field(description="possible now, or from an instant on")
    never: list[ActShown] = Field(default=[], description="what he cannot do any more, or could never, and why")


class Ahead(Shown):
    """An event that has not happened: what follows by what is known now."""

    at: Instant
    event: str = Field(description="its type, without its version")
    text: str = Field(description="the same, for people")
    buyer_minor: int = Field(default=0, description="what it moves to the buyer; below 0: from him")
    seller_minor: int = Field(default=0, description="what it moves to the seller; below 0: from him")
    data: dict[str, Any] = {}


class EndShown(Shown):
    """Where the money of the order is when all of that has happened: sums since it was placed."""

    at: Instant | None = Field(description="when the last of it has moved; null: it does not end by itself")
    buyer_minor: int = Field(description="given back to the buyer")
    seller_minor: int = Field(description="paid out to the seller, less what was charged back to him")
    commission_minor: int = Field(description="kept by the platform (R69)")
    held_minor: int = Field(description="still held")


class OutcomeShown(Shown):
    """What a command would come to."""

    answer: str = Field(description="type of the first answer, without its version")
    refused: Why | None = None
    at_once: list[Ahead] = Field(description="what is said with it")
    nobody_acts: list[Ahead] = Field(description="and then, if nobody acts")
    ends: EndShown


class PreviewShown(OutcomeShown):
    """The same, and by when it was worked out: what is said meanwhile may change it."""

    as_of: AsOf


class Option(Shown):
    """One of the ways in which a case can be decided, and what it comes to (N1)."""

    name: str = Field(description="nothing, half, all: how much of the claim goes to the buyer; with or without return")
    type: str
    data: dict[str, Any] = Field(description="of the command, without order_id and actor")
    outcome: OutcomeShown


class EventShown(Shown):
    """One event of the history, as the viewer sees it."""

    at: Instant
    id: str
    type: str = Field(description="without its version")
    who: str = Field(description="the role of whoever acted; `time`; else the service that reacted")
    actor: str | None = None
    text: str = Field(description="what happened, for people")
    dispute_id: str | None = None
    unseen_by: list[str] = Field(default=[], description="parties to whom it is not shown")
    data: dict[str, Any]


class EvidenceShown(Shown):
    """A file that somebody has shown, wherever it lies."""

    evidence_id: str
    by: str
    at: Instant
    stage: str = Field(description="dispute, or mediation")
    kind: str
    uri: str
    note: str | None = None
    superseded: bool = False


class OfferShown(Shown):
    """An offer with its number (R82)."""

    offer: Offer
    at: Instant
    is_open: bool


class Booked(Shown):
    """One entry of the order's ledger (R22)."""

    at: Instant
    event: str
    from_account: str
    to_account: str
    amount_minor: int
    settlement_id: str | None = None
    leg: str | None = None
    payment_key: str | None = None
    provider_reference: str | None = None
    event_id: str


class Leg(Shown):
    """One movement of money (R52)."""

    settlement_id: str
    leg: str
    stage: str
    amount_minor: int
    due_by: Instant | None = None
    attempts: int = 0
    provider_reference: str | None = None
    review_reason: str | None = None


class LetterShown(Shown):
    """A letter or webhook of which the services say that it went out, or did not."""

    at: Instant
    to: str
    template: str
    channel: str
    status: Literal["sent", "failed"]
    delivery_id: str | None = None


class OrderHead(Shown):
    """What an order is, and where it stands."""

    order_id: Id
    buyer: str
    seller: str
    status: str
    currency: Currency
    total_minor: int
    lines: list[OrderLine]
    policy: PolicyRef
    placed_at: Instant
    commission_bps: int
    on_hold: bool
    protection_ends_at: Instant | None = None
    deadlines: list[ClockShown] = []


class CaseShown(Shown):
    """A dispute, as one viewer sees it at one instant."""

    row: CaseRow
    order: OrderHead
    viewer: Viewer
    at: Instant = Field(description="the instant that is shown")
    players: list[Player]
    nobody_acts: list[Ahead]
    ends: EndShown
    options: list[Option] = Field(description="for the mediator of the case and operators")
    offers: list[OfferShown]
    timeline: list[EventShown]
    evidence: list[EvidenceShown]
    evidence_complete: dict[str, bool] = Field(
        default={}, description="buyer, seller -> whether he has shown something for this reason"
    )
    ledger: list[Booked]
    letters: list[LetterShown]
    as_of: AsOf


class OrderShown(Shown):
    """An order, as one viewer sees it at one instant."""

    order: OrderHead
    viewer: Viewer
    at: Instant
    disputes: list[CaseRow]
    players: list[Player]
    nobody_acts: list[Ahead]
    ends: EndShown
    timeline: list[EventShown]
    legs: list[Leg]
    ledger: list[Booked]
    letters: list[LetterShown]
    as_of: AsOf


class CommandShown(Shown):
    """What became of a command (`ce_id`)."""

    order_id: Id
    command_id: str
    type: str | None = None
    status: Literal["pending", "answered", "refused", "dead_letter", "parked"]
    is_final: bool = Field(description="no other answer follows")
    answers: list[EventShown]
    why: Why | None = None
    as_of: AsOf


class ProblemDetails(Shown):
    """What went wrong with a question (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    field: str | None = Field(default=None, description="of the form or command that it is about")
    code: str | None = None


class Stuck(Shown):
    """Something that does not go on by itself."""

    kind: str = Field(
        description="parked, manual_review, overdue_leg, overdue_mediation, empty_seat, dead_letter, undelivered, "
        "shard_refused, overdue_alarm"
    )
    order_id: str | None
    about: dict[str, Any] = Field(description="what names it: dispute_id, settlement_id and leg, service and offset …")
    since: Instant
    reason: str
    whose_turn: str
    sentence: str = Field(description="for people")
    act: Mapping[str, Any] | None = Field(description="{type, data}: the command that frees it; null: none does")
    command_line: str | None = Field(description="the same from a terminal")
