"""Buyers, sellers, mediators, operators and the platform: what somebody of such a manner says at such a moment."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple, get_args

from schemas.common import Reason
from schemas.dispute.shapes import REASONS_NOT_RECEIVED, ContestReason
from schemas.instants import rfc3339
from schemas.wire import Role
from shared.runtime.memory import START
from tests.simulation.known import Dispute, Order
from tests.simulation.plan import Manner

REASONS: tuple[Reason, ...] = get_args(Reason)
RECEIVED = tuple(sorted(set(REASONS) - REASONS_NOT_RECEIVED))
CONTESTS: tuple[ContestReason, ...] = get_args(ContestReason)
TRACKING = ("in_transit", "delivered", "returned", "failed")
MEDIATORS = ("mara", "noel", "otto")


class Wish(NamedTuple):
    """A command before it is sent: `dispute.open`, by whom, with what."""

    name: str
    role: Role
    person: str
    data: dict[str, Any]


SENSIBLE: Mapping[str, tuple[tuple[int, str, Role], ...]] = {
    "awaiting_shipment": (
        (20, "order.ship", "seller"), (2, "order.extend_processing", "seller"), (1, "order.cancel", "buyer"),
        (1, "order.cancel", "seller"), (1, "order.cancel", "operator"), (1, "order.refund", "seller"),
    ),
    "awaiting_confirmation": (
        (16, "dispute.open", "buyer"), (2, "order.confirm_receipt", "buyer"), (2, "order.report_tracking", "platform"),
        (2, "order.extend_protection", "seller"), (1, "order.request_extension", "buyer"),
        (1, "order.correct_tracking", "seller"), (2, "order.refund", "seller"), (1, "order.refund", "operator"),
    ),
    "completed": ((5, "dispute.open", "buyer"), (1, "order.report_tracking", "platform")),
    "payment_processing": (
        (3, "dispute.open", "buyer"), (1, "order.correct_tracking", "seller"), (1, "order.confirm_receipt", "buyer"),
        (1, "order.extend_protection", "seller"), (1, "order.refund", "seller"),
    ),
    "cancelled": ((1, "order.report_tracking", "platform"), (1, "dispute.open", "buyer")),
    "requested": ((1, "dispute.add_evidence", "buyer"), (1, "dispute.send_message", "buyer")),
    "awaiting_seller": (
        (7, "dispute.reject", "seller"), (7, "dispute.offer", "seller"), (3, "dispute.accept_offer", "seller"),
        (2, "dispute.modify", "buyer"), (1, "dispute.offer", "buyer"), (5, "dispute.escalate", "buyer"),
        (2, "dispute.cancel", "buyer"), (1, "dispute.send_message", "seller"), (1, "dispute.add_evidence", "buyer"),
        (1, "order.extend_protection", "seller"), (1, "order.confirm_receipt", "buyer"),
    ),
    "negotiating": (
        (3, "dispute.accept_offer", "buyer"), (3, "dispute.accept_offer", "seller"), (2, "dispute.offer", "buyer"),
        (2, "dispute.offer", "seller"), (14, "dispute.escalate", "buyer"), (2, "dispute.cancel", "buyer"),
        (1, "dispute.modify", "buyer"), (1, "dispute.send_message", "buyer"), (1, "dispute.add_evidence", "seller"),
    ),
    "in_mediation": (
        (9, "mediation.ask", "mediator"), (6, "mediation.answer", "buyer"), (6, "mediation.answer", "seller"),
        (9, "mediation.decide", "mediator"), (6, "mediation.offer", "seller"), (3, "mediation.accept_offer", "buyer"),
        (1, "mediation.accept_offer", "seller"), (4, "mediation.decline_offer", "buyer"),
        (1, "mediation.cancel", "buyer"), (1, "mediation.assign", "operator"), (1, "dispute.add_evidence", "seller"),
        (1, "dispute.add_evidence", "buyer"),
    ),
    "decided": (
        (6, "dispute.appeal", "buyer"), (6, "dispute.appeal", "seller"), (3, "dispute.waive_appeal", "buyer"),
        (3, "dispute.waive_appeal", "seller"),
    ),
    "awaiting_return": (
        (12, "dispute.ship_return", "buyer"), (1, "dispute.cancel", "buyer"), (1, "dispute.send_message", "seller"),
    ),
    "return_shipped": (
        (3, "dispute.report_return", "platform"), (1, "dispute.correct_return_tracking", "buyer"),
        (3, "dispute.confirm_return", "seller"),
        (8, "dispute.contest_return", "seller"),
    ),
    "awaiting_replacement": (
        (10, "dispute.ship_replacement", "seller"), (1, "dispute.cancel", "buyer"),
    ),
    "replacement_shipped": (
        (3, "dispute.confirm_replacement", "buyer"), (6, "dispute.escalate", "buyer"),
        (1, "dispute.add_evidence", "seller"),
    ),
}  # fmt: skip
"""Where an order or its dispute stands -> how often who then says what."""
BESIDE: tuple[tuple[int, str, Role], ...] = ((9, "dispute.open", "buyer"), (2, "order.refund", "seller"))
"""While some pieces of a line are disputed, others may be, too, or are given back (R65)."""
REST: tuple[tuple[int, str, Role], ...] = (
    (9, "order.ship", "seller"),
    (2, "order.extend_processing", "seller"),
    (1, "order.cancel", "seller"),
    (1, "order.report_tracking", "platform"),
)
"""While a part of the order is in no parcel yet (R66), whatever goes on over the others."""
EVERYTHING: tuple[tuple[str, Role], ...] = (
    *sorted({(name, role) for said in SENSIBLE.values() for _, name, role in said}),
    ("order.place", "platform"),
    ("refund.retry", "operator"),
    ("refund.resolve", "operator"),
    ("refund.acknowledge", "operator"),
    ("refund.hold", "operator"),
    ("refund.unhold", "operator"),
)


def wish(chance: Random, order: Order, manners: Mapping[str, Manner]) -> Wish | None:
    """What is said now; None: nobody says anything."""
    dispute = order.newest()
    stage = order.status if dispute is None or dispute.status == "closed" else dispute.status
    if stage not in SENSIBLE and chance.random() < 0.5:
        return None
    sensible = SENSIBLE.get(stage, SENSIBLE["awaiting_shipment"])
    if order.by_piece and stage in ("awaiting_seller", "negotiating"):
        sensible += BESIDE
    if order.parcels and order.unshipped:
        sensible += REST
    weights, names, roles = zip(*sensible, strict=True)
    [(name, role)] = chance.choices(list(zip(names, roles, strict=True)), weights)
    manner = manners.get(role, "honest")
    if chance.random() < (0.8 if manner == "silent" else 0.8 if order.ended() else 0):
        return None
    if chance.random() < (0.6 if manner == "confused" else 0.18):
        name, role = chance.choice(EVERYTHING)
    person = _person(chance, role, order, dispute, manner)
    return Wish(name, role, person, DATA[name](_Mood(chance, order, dispute, role, manner)))


def babel(chance: Random, order: Order) -> list[Wish]:
    """Everything that anybody can say of an order; first what makes no sense where it stands: that moves nothing."""
    dispute = order.newest()
    sensible = {
        name for stage in (order.status, dispute and dispute.status) for _, name, _ in SENSIBLE.get(stage or "", ())
    }
    everything = chance.sample(EVERYTHING, len(EVERYTHING))
    return [
        Wish(
            name,
            role,
            _person(chance, role, order, dispute, "honest"),
            DATA[name](_Mood(chance, order, dispute, role, "honest")),
        )
        for name, role in sorted(everything, key=lambda said: said[0] in sensible)
    ]


def _person(chance: Random, role: Role, order: Order, dispute: Dispute | None, manner: Manner) -> str:
    if manner == "confused" and chance.random() < 0.2:
        return "somebody-else"
    match role:
        case "buyer" | "seller":
            return order.people.get(role, f"{role}-{order.id}")
        case "mediator":
            return (dispute and dispute.mediator) or chance.choice(MEDIATORS)
        case _:
            return "olga" if role == "operator" else "checkout"


class _Mood(NamedTuple):
    chance: Random
    order: Order
    dispute: Dispute | None
    role: Role
    manner: Manner

    def dispute_id(self) -> str:
        if self.dispute is None or (self.manner == "confused" and self.chance.random() < 0.2):
            return f"d{self.chance.randint(1, 3)}"
        return self.dispute.id

    def minor(self, most: int = 0) -> int:
        """From next to nothing to too much."""
        most = most or (self.dispute and self.dispute.claimed_minor) or self.order.total_minor or 1
        if self.chance.random() < (0.3 if self.manner == "greedy" else 0.07):
            return most + 1
        return most if self.manner == "greedy" else max(1, self.chance.choice((most, most // 2, most // 3, 1)))

    def terms(self, most: int = 0) -> dict[str, Any]:
        kinds = ["refund", "refund", "return_and_refund"]
        if self.order.replaceable or self.manner == "confused":
            kinds.append("replacement")
        if self.role == "seller" and (self.manner == "greedy" or self.chance.random() < 0.2):
            return {"kind": "none", "refund_minor": 0}
        return {"kind": self.chance.choice(kinds), "refund_minor": self.minor(most)}

    def offer_id(self) -> int:
        """The other side's newest, mostly; or one that it thought better of."""
        theirs = self.dispute.offers["seller" if self.role == "buyer" else "buyer"] if self.dispute else []
        if not theirs or self.chance.random() < 0.1:
            return self.chance.randint(1, 4)
        return self.chance.choice(theirs) if self.chance.random() < 0.4 else theirs[-1]

    def evidence(self, least: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "evidence_id": (id_ := f"e{self.chance.getrandbits(16)}"),
                "kind": "photo",
                "uri": f"https://files.example.com/{id_}.jpg",
                "media_type": "image/jpeg",
                "size_bytes": 2_048,
                "sha256": sha256(id_.encode()).hexdigest(),
            }
            for _ in range(max(least, self.chance.choice((0, 0, 1))))
        ]

    def about(self, **data: Any) -> dict[str, Any]:
        return {"dispute_id": self.dispute_id(), **data}


def _nothing(mood: _Mood) -> dict[str, Any]:
    return {}


def _days(mood: _Mood) -> dict[str, Any]:
    return {"days": mood.chance.choice((1, 1, 3, 10, 30, 31))}


def _parcel(mood: _Mood) -> dict[str, Any]:
    return {"carrier": "Cainiao", "tracking_number": f"LP{mood.chance.getrandbits(20)}"}


def _shipped(mood: _Mood) -> dict[str, Any]:
    """All that is left, or some of it; now and then more, or under a name that there is. Drawn by the parcel's number,
    so that nothing else is drawn anew."""
    parcel = _parcel(mood)
    chance, left = Random(parcel["tracking_number"]), mood.order.unshipped or {"l1": 1}
    if chance.random() < 0.3:
        return parcel
    some = chance.sample(sorted(left), chance.randint(1, max(1, len(left) - 1)))
    few = (1, 1, 1, 1, 2, None, left[some[0]] + 1)
    lines = [{"line_id": one, "quantity": chance.choice((*few, left[one]))} for one in some]
    return parcel | {"lines": lines, "parcel_id": chance.choice((None, None, None, None, "1", "box"))}


def _one_of(mood: _Mood, said: dict[str, Any]) -> dict[str, Any]:
    """Names its parcel, where there are several; or one that there is not, or none."""
    chance = Random(f"{said}")
    if len(mood.order.parcels) < 2 and chance.random() < 0.8:
        return said
    return said | {"parcel_id": chance.choice((*mood.order.parcels, *mood.order.parcels, None, "lost"))}


def _tracked(mood: _Mood) -> dict[str, Any]:
    """Of just now; or of long before there was anything to report."""
    at = mood.order.heard_at if mood.chance.random() < 0.9 else START
    return {"status": mood.chance.choice(TRACKING), "at": rfc3339(at)}


def _unshipped(mood: _Mood) -> dict[str, Any]:
    """The buyer cancels the order, others perhaps a line of it."""
    if mood.role == "buyer":
        return {}
    one = [mood.chance.choice(sorted(mood.order.lines))] if mood.order.lines and mood.chance.random() < 0.6 else None
    return {"lines": one, "reason": "It is sold out."}


def _given_back(mood: _Mood) -> dict[str, Any]:
    amounts = {name: minor for name, (_, minor) in mood.order.lines.items()} or {"l1": 1}
    some = mood.chance.sample(sorted(amounts), mood.chance.randint(1, len(amounts)))
    lines = [{"line_id": one, "refund_minor": mood.minor(amounts[one] or 1)} for one in some]
    return {"lines": lines, "reason": "Sorry for that."}


def _claim(mood: _Mood) -> dict[str, Any]:
    chance, order = mood.chance, mood.order
    lines, most = None, sum(minor for _, minor in order.lines.values())
    if chance.random() < (0.9 if order.by_piece else 0.5) and order.lines:
        some = chance.sample(sorted(order.lines), chance.randint(1, len(order.lines)))
        few = (1, 1, None) if order.by_piece else (None, 1)
        lines = [{"line_id": one, "quantity": chance.choice((*few, order.lines[one][0]))} for one in some]
        most = sum(order.lines[one][1] // order.lines[one][0] for one in some)
    terms = mood.terms(most) if most else {"kind": "replacement", "refund_minor": 0}  # of gifts alone
    goes_back = terms["kind"] == "return_and_refund" and mood.manner != "confused"
    reason = chance.choice(RECEIVED if goes_back else REASONS)
    again = mood.dispute and chance.random() < 0.1
    return {
        "dispute_id": mood.dispute.id if mood.dispute and again else f"d{len(order.disputes) + 1}",
        "lines": lines,
        "received": reason not in REASONS_NOT_RECEIVED,
        "reason": reason,
        "description": "It is not what I paid for.",
        "terms": terms,
        "evidence": mood.evidence(),
    }


def _modified(mood: _Mood) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "reason": mood.chance.choice(REASONS),
        "terms": mood.terms(),
        "description": "Or rather:",
    }
    kept = mood.chance.sample(sorted(changes), mood.chance.randint(1, 3))
    return mood.about(**{name: changes[name] for name in kept})


def _decision(mood: _Mood) -> dict[str, Any]:
    refund = mood.chance.choice((0, mood.minor(), mood.minor()))
    return mood.about(
        refund_minor=refund,
        return_required=refund > 0 and mood.chance.random() < 0.4,
        rationale="By what both have shown.",
        rules=["R46"],
        evidence_ids=(mood.dispute.evidence if mood.dispute else [])[-1:],
    )


def _answer(mood: _Mood) -> dict[str, Any]:
    asked = [id_ for id_, to in (mood.dispute.questions if mood.dispute else {}).items() if mood.role in to]
    return mood.about(question_id=asked[-1] if asked else "q0", text="So it was.", evidence=mood.evidence())


def _question(mood: _Mood) -> dict[str, Any]:
    known = mood.dispute.questions if mood.dispute else {}
    return mood.about(
        question_id=f"q{mood.dispute_id()}-{len(known) + 1}",
        to=mood.chance.choice(("buyer", "seller", "both")),
        question="What does the label say?",
    )


def _cancel(mood: _Mood) -> dict[str, Any]:
    return mood.about(expect=mood.chance.choice(("reopenable", "released_to_seller")))


def _sale_again(mood: _Mood) -> dict[str, Any]:
    """Refused: an order is placed once."""
    people = {role: {"id": f"another-{role}", "email": f"another-{role}@example.com"} for role in ("buyer", "seller")}
    line = {"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 1}
    return {**people, "currency": "EUR", "lines": [line], "payment": {"payment_id": "p", "amount_minor": 1}}


def _movement(mood: _Mood) -> dict[str, Any]:
    return {
        "settlement_id": f"{mood.order.id}:{mood.chance.choice((1, 1, 2))}",
        "leg": mood.chance.choice(("refund", "payout", "chargeback")),
    }


def _no_movement(mood: _Mood) -> dict[str, Any]:
    """Who says that he paid has paid, or there is nothing to be paid."""
    paid = {"outcome": "settled", "provider_reference": "none", "note": "Seen to it."}
    return _movement(mood) | {"settlement_id": f"{mood.order.id}:9"} | paid


DATA: Mapping[str, Callable[[_Mood], dict[str, Any]]] = {
    "order.place": _sale_again,
    "refund.retry": _movement,
    "refund.resolve": _no_movement,
    "refund.acknowledge": lambda mood: _movement(mood) | {"note": "Looked into it.", "settlement_id": "none"},
    "refund.hold": lambda mood: {"reason": "Somebody asks about it."},
    "refund.unhold": lambda mood: {"reason": "All is well."},
    "order.ship": _shipped,
    "order.extend_processing": _days,
    "order.cancel": _unshipped,
    "order.refund": _given_back,
    "order.confirm_receipt": _nothing,
    "order.report_tracking": lambda mood: _one_of(mood, _tracked(mood)),
    "order.extend_protection": _days,
    "order.request_extension": _days,
    "order.correct_tracking": lambda mood: _one_of(mood, _parcel(mood)),
    "dispute.open": _claim,
    "dispute.modify": _modified,
    "dispute.add_evidence": lambda mood: mood.about(evidence=mood.evidence(least=1)),
    "dispute.send_message": lambda mood: mood.about(text="When will you answer?"),
    "dispute.offer": lambda mood: mood.about(terms=mood.terms()),
    "dispute.reject": lambda mood: mood.about(),
    "dispute.accept_offer": lambda mood: mood.about(offer_id=mood.offer_id()),
    "dispute.cancel": _cancel,
    "dispute.escalate": lambda mood: mood.about(),
    "dispute.ship_return": lambda mood: mood.about(**_parcel(mood)),
    "dispute.correct_return_tracking": lambda mood: mood.about(**_parcel(mood)),
    "dispute.report_return": lambda mood: mood.about(**_tracked(mood)),
    "dispute.confirm_return": lambda mood: mood.about(),
    "dispute.contest_return": lambda mood: mood.about(
        reason=mood.chance.choice(CONTESTS), description="A brick.", evidence=mood.evidence(least=1)
    ),
    "dispute.ship_replacement": lambda mood: mood.about(**_parcel(mood)),
    "dispute.confirm_replacement": lambda mood: mood.about(),
    "dispute.appeal": lambda mood: mood.about(explanation="This is unjust.", evidence=mood.evidence()),
    "dispute.waive_appeal": lambda mood: mood.about(),
    "mediation.ask": _question,
    "mediation.answer": _answer,
    "mediation.decide": _decision,
    "mediation.offer": lambda mood: mood.about(terms=mood.terms()),
    "mediation.accept_offer": lambda mood: mood.about(offer_id=mood.offer_id()),
    "mediation.decline_offer": lambda mood: mood.about(offer_id=mood.offer_id()),
    "mediation.cancel": _cancel,
    "mediation.assign": lambda mood: mood.about(mediator_id=mood.chance.choice(MEDIATORS)),
}
"""What each command says, by who says it in which mood."""
