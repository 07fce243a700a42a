"""What anybody can know of an order from the topics: by this people decide what to do next."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.instants import from_ms
from schemas.topics import SERVICES
from shared.kernel.codec import header
from shared.kernel.ports import Record
from shared.runtime.memory import START
from tests.simulation.plan import RULES

EVENT_TOPICS = frozenset(f"{service}.events" for service in SERVICES)

REPLACING = frozenset(ref.name for ref, policy in RULES.by_ref.items() if policy.replacement)
BY_PIECE = frozenset(ref.name for ref, policy in RULES.by_ref.items() if policy.disputed_pieces == "named")
TO_COME = ("_by", "_until", "_from", "ends_at", "escalates_at", "reminder_at", "remind_at")


@dataclass
class Dispute:
    id: str
    status: str = "requested"
    claimed_minor: int = 0
    offers: dict[str, list[int]] = field(default_factory=lambda: {"buyer": [], "seller": []})
    """Side -> the numbers of its offers, the newest last."""
    round: int = 0
    mediator: str | None = None
    questions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)


@dataclass
class Order:
    id: str
    status: str = "none"
    people: dict[str, str] = field(default_factory=dict)
    """Role -> who it is."""
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)
    """line_id -> (pieces, minor units)"""
    unshipped: dict[str, int] = field(default_factory=dict)
    """line_id -> pieces that are in no parcel, if any."""
    parcels: list[str] = field(default_factory=list)
    total_minor: int = 0
    replaceable: bool = False
    by_piece: bool = False
    """A line may be in several disputes (R65)."""
    disputes: dict[str, Dispute] = field(default_factory=dict)
    instants: set[datetime] = field(default_factory=set)
    """Every deadline, and every end or begin of a right, that an event named."""
    moving: set[tuple[str, str]] = field(default_factory=set)
    """(settlement_id, leg) of money on its way."""
    in_review: dict[tuple[str, str], str] = field(default_factory=dict)
    """(settlement_id, leg) of what waits for an operator -> why."""
    owed: dict[tuple[str, str], int] = field(default_factory=dict)
    """(settlement_id, leg) -> what was still to be moved, in minor units, when it came before an operator last."""
    on_hold: bool = False
    """Its money is."""
    generations: dict[tuple[str, str], str] = field(default_factory=dict)
    """(settlement_id, leg) -> the payment key that it was called under last."""
    ids: set[str] = field(default_factory=set)
    heard_at: datetime = START
    """When the newest that was said of it was said."""

    def ended(self) -> bool:
        """Nobody has much to say any more."""
        return self.status in ("completed", "cancelled") and any(
            one.status == "closed" for one in self.disputes.values()
        )

    def newest(self) -> Dispute | None:
        """The dispute people talk about: the last that is not closed, else the last."""
        going_on = [one for one in self.disputes.values() if one.status != "closed"]
        return next(reversed(going_on or list(self.disputes.values())), None)

    def hears(self, type_: str, data: dict[str, Any]) -> None:
        service = type_.partition(".")[0]
        self.instants |= instants_of(data)
        if type_.endswith((".rejected.v1", ".resumed.v1", ".repeated.v1")):
            return
        match service:
            case "order":
                self.status = data["status"] or self.status
                if type_ == "order.placed.v1":
                    self.lines = {line["line_id"]: (line["quantity"], line["amount_minor"]) for line in data["lines"]}
                    self.people = {role: data[role]["id"] for role in ("buyer", "seller")}
                    self.replaceable = data["policy"]["name"] in REPLACING
                    self.by_piece = data["policy"]["name"] in BY_PIECE
                    self.total_minor = data["total_minor"]
                    self.unshipped = {line: pieces for line, (pieces, _) in self.lines.items()}
                self._ships(type_, data)
            case "dispute" | "mediation":
                if data.get("dispute_id") is not None:
                    self._hears_of(
                        self.disputes.setdefault(data["dispute_id"], Dispute(data["dispute_id"])), type_, data
                    )
            case "refund" if type_ == "refund.captured.v1" or data.get("leg") == "capture":
                pass
            case "refund" if type_ in ("refund.held.v1", "refund.unheld.v1"):
                self.on_hold = type_ == "refund.held.v1"
            case "refund":
                key = data["settlement_id"], data["leg"]
                if type_ in ("refund.requested.v1", "refund.reversed.v1"):
                    self.moving.add(key)
                elif data["stage"] == "settled":
                    self.moving.discard(key)
                if type_ == "refund.submitted.v1":
                    self.generations[key] = data["payment_key"]
                if type_ == "refund.review_needed.v1":
                    self.in_review[key] = data["reason"]
                    self.owed[key] = data["amount_minor"]
                elif data["stage"] != "manual_review":
                    self.in_review.pop(key, None)

    def _ships(self, type_: str, data: dict[str, Any]) -> None:
        match type_:
            case "order.shipped.v1":
                self.parcels.append(data["parcel_id"])
                sent = {one["line_id"]: one["quantity"] for one in data["lines"] or ()} or self.unshipped
                left = {line: pieces - sent.get(line, 0) for line, pieces in self.unshipped.items()}
                self.unshipped = {line: pieces for line, pieces in left.items() if pieces > 0}
            case "order.lines_cancelled.v1":
                gone = {line["line_id"] for line in data["lines"]}
                self.unshipped = {line: pieces for line, pieces in self.unshipped.items() if line not in gone}
            case "order.cancelled.v1":
                self.unshipped = {}

    def _hears_of(self, dispute: Dispute, type_: str, data: dict[str, Any]) -> None:
        if type_.startswith("dispute."):
            dispute.status = data["status"] or dispute.status
        dispute.claimed_minor = data.get("claimed_minor", dispute.claimed_minor)
        dispute.evidence += [one["evidence_id"] for one in data.get("evidence", ())]
        match type_.split(".")[1]:
            case "opened" if type_.startswith("mediation."):
                dispute.round, dispute.mediator = data["round"], None
            case "opened":
                dispute.offers["buyer"].append(data["offer_id"])
            case "offer_made":
                dispute.offers[data["by"]].append(data["offer_id"])
            case "assigned":
                dispute.mediator = data["mediator"]["id"]
            case "question_asked":
                dispute.questions[data["question_id"]] = ("buyer", "seller") if data["to"] == "both" else (data["to"],)


def at(ms: int) -> datetime:
    """As the broker tells the time."""
    return from_ms(ms)


def instants_of(data: dict[str, Any]) -> set[datetime]:
    return {
        datetime.fromisoformat(value)
        for name, value in data.items()
        if isinstance(value, str) and name.endswith(TO_COME) and value[:1].isdigit()
    }


@dataclass
class Talk:
    """All that was said on the topics, order by order."""

    orders: dict[str, Order] = field(default_factory=dict)

    def watch(self, record: Record) -> None:
        if record.topic not in EVENT_TOPICS or record.topic in ("notification.events", "timer.events"):
            return
        order = self.orders.get((record.key or b"").decode(errors="replace"))
        if order is None:
            return
        id_ = header(record.headers, "ce_id") or ""
        if id_ not in order.ids:
            order.ids.add(id_)
            order.heard_at = max(order.heard_at, at(record.timestamp))
            order.hears(header(record.headers, "ce_type") or "", json.loads(record.value or b"{}"))
