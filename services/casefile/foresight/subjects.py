"""What there is to act upon: what the events of an order have named, so that a command may name it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from schemas.example import PHOTO, example
from schemas.instants import rfc3339
from schemas.wire import Actor, Command, Event

UNASSUMING: Mapping[str, Any] = {
    "days": 1,
    "lines": None,
    "expect": None,
    "evidence_ids": [],
    "evidence": [{**PHOTO, "evidence_id": "tried", "supersedes": None}],
}
"""What is said where a command leaves a choice: as little as it may."""
NOT_OF_ONE_ORDER = ("order.place.v1", "mediation.register_mediator.v1", "mediation.retire_mediator.v1")
FREE: Mapping[str, Any] = {}
Try = tuple[Mapping[str, Any], Mapping[str, Any]]
"""(what it must say, what is its author's choice)"""


class Subjects:
    """Of one order."""

    def __init__(self, said: Iterable[Event]) -> None:
        self.lines: list[str] = []
        self.claims: dict[str, int] = {}
        """Dispute -> what can be refunded at most."""
        self.offers: dict[tuple[str, str], int] = {}
        """(dispute, side) -> its newest offer."""
        self.questions: dict[str, list[str]] = {}
        self.legs: dict[tuple[str, str], None] = {}
        for event in said:
            self._note(event)

    def _note(self, event: Any) -> None:
        match event.type:
            case "order.placed.v1":
                self.lines = [line.line_id for line in event.lines]
            case "dispute.opened.v1":
                self.claims[event.dispute_id] = event.claimed_minor
                self.offers[event.dispute_id, "buyer"] = event.offer_id
            case "dispute.offer_made.v1" | "mediation.offer_made.v1":
                self.offers[event.dispute_id, getattr(event, "by", "seller")] = event.offer_id
            case "dispute.escalated.v1":
                for offer in event.offers:
                    self.offers[event.dispute_id, offer.by] = offer.offer_id
            case "mediation.question_asked.v1":
                self.questions.setdefault(event.dispute_id, []).append(event.question_id)
            case "refund.requested.v1" | "refund.review_needed.v1":
                self.legs[event.settlement_id, event.leg] = None

    def tries(
        self, model: type[Command], order_id: str, actor: Actor, now: datetime
    ) -> Iterator[tuple[Command, Mapping[str, Any]]]:
        """The commands of this kind that may be of use, one for each thing that it may be about; with each what of it
        is not its author's choice."""
        whose = {"order_id": order_id, "actor": actor.model_dump(), "at": rfc3339(now)}
        for fixed, free in self._abouts(model, actor):
            said = {**_usual(model), **whose, **UNASSUMING, **free, **fixed}
            known = {name: value for name, value in said.items() if name in model.model_fields}
            try:
                yield model.model_validate_json(to_json(known)), fixed
            except ValidationError:
                continue  # of gifts alone no money can be asked for

    def _abouts(self, model: type[Command], actor: Actor) -> Iterator[Try]:
        fields = model.model_fields
        if model.type == "dispute.open.v1":
            yield FREE, {"dispute_id": f"d-{len(self.claims) + 1}-tried", "terms": _terms(1)}
        elif model.type == "order.refund.v1":
            yield from ((FREE, {"lines": [{"line_id": one, "refund_minor": 1}]}) for one in self.lines)
        elif "settlement_id" in fields:
            yield from (({"settlement_id": settlement_id, "leg": leg}, FREE) for settlement_id, leg in self.legs)
        elif "dispute_id" in fields:
            for dispute_id, claimed_minor in self.claims.items():
                minor = min(claimed_minor, 1)
                about = {"terms": _terms(minor), "refund_minor": minor}
                for fixed, free in self._of_dispute(model, actor, dispute_id):
                    yield {"dispute_id": dispute_id, **fixed}, {**about, **free}
        else:
            yield FREE, FREE

    def _of_dispute(self, model: type[Command], actor: Actor, dispute_id: str) -> Iterator[Try]:
        fields, questions = model.model_fields, self.questions.get(dispute_id, [])
        if "offer_id" in fields:
            offer = self.offers.get((dispute_id, "seller" if actor.role == "buyer" else "buyer"))
            yield from [] if offer is None else [({"offer_id": offer}, FREE)]
        elif model.type == "mediation.answer.v1":
            yield from (({"question_id": one}, FREE) for one in questions)
        elif model.type == "mediation.ask.v1":
            yield FREE, {"question_id": f"q-{len(questions) + 1}-tried"}
        elif model.type == "dispute.modify.v1":
            yield FREE, {"reason": None}
        elif model.type == "dispute.cancel.v1":
            yield from (({"expect": one}, FREE) for one in ("reopenable", "released_to_seller"))
        elif "expect" in fields:
            yield {"expect": "released_to_seller" if model.type == "mediation.cancel.v1" else None}, FREE
        else:
            yield FREE, FREE


@cache
def _usual(model: type[Command]) -> Mapping[str, Any]:
    return example(model)


def _terms(refund_minor: int) -> dict[str, Any]:
    return {"kind": "refund" if refund_minor else "none", "refund_minor": refund_minor}
