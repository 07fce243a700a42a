"""Who may do what, from when and until when: by trying every command on what the services know.

The answer is the deciders' own. A command stands for its kind: it says no more than it must, of what is open.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from schemas.example import PHOTO, example
from schemas.instants import rfc3339
from schemas.wire import Actor, Command, Event, Rejected, Resume
from services.casefile.oracle import JUDGES, Outlook, only_late
from shared.kernel.decider import Refusal

FAR = timedelta(days=3_650)
STEPS_MAX = 24
"""So many clocks are followed."""
FINAL_NO = "dispute.open_refused.v1"
UNASSUMING: Mapping[str, Any] = {
    "days": 1,
    "lines": None,
    "expect": None,
    "evidence_ids": [],
    "evidence": [{**PHOTO, "evidence_id": "tried", "supersedes": None}],
}
"""What is said where a command leaves a choice: as little as it may."""
NOT_OF_ONE_ORDER = ("order.place.v1", "mediation.register_mediator.v1", "mediation.retire_mediator.v1")


@dataclass(frozen=True, slots=True)
class Act:
    """A command and what would become of it if nobody else acts."""

    command: Command
    refusal: Refusal | None
    """If it came now; None: it is obeyed."""
    from_: datetime | None
    """When it becomes possible; None: it is, or never does."""
    until: datetime | None
    """The last instant at which it is possible; None: nothing ends it."""


class Acts:
    """Of one order. `said`: all its events in order, of which is known what there is to act upon."""

    def __init__(self, outlook: Outlook, order_id: str, said: Iterable[Event]) -> None:
        self.order_id = order_id
        self.subjects = Subjects(said)
        self.steps = _steps(outlook)

    def of(self, actor: Actor) -> list[Act]:
        return [self._act(command) for command in self._tries(actor)]

    def _tries(self, actor: Actor) -> Iterator[Command]:
        for decider in JUDGES.values():
            for model in decider.commands:
                if actor.role in model.by and model.type not in NOT_OF_ONE_ORDER and not issubclass(model, Resume):
                    yield from self.subjects.tries(model, self.order_id, actor, self.steps[0].now)

    def _act(self, command: Command) -> Act:
        first = refusal(self.steps[0], command, self.steps[0].now)
        if first is None:
            return Act(command, first, None, self._until(command, 0))
        opens = (number for number, step in enumerate(self.steps) if refusal(step, command, step.now) is None)
        if available_at := _instant(first, "available_at"):
            within = [number for number, step in enumerate(self.steps) if step.now <= available_at]
            return Act(command, first, available_at, self._until(command, within[-1], available_at))
        if (number := next(opens, None)) is None:
            return Act(command, first, None, None)
        return Act(command, first, self.steps[number].now, self._until(command, number))

    def _until(self, command: Command, number: int, at: datetime | None = None) -> datetime | None:
        """The last instant, of what is possible when this step begins, or at this instant in it."""
        for step, following in zip(self.steps[number:], [*self.steps[number + 1 :], None], strict=True):
            ends_at = step.next_change() if following else step.now + FAR
            assert ends_at is not None
            at_the_end = refusal(step, command, max(ends_at, at or ends_at))
            if at_the_end is not None or following is None:
                return _instant(at_the_end, "lost_at")
            afterwards = refusal(following, command, following.now)
            if afterwards is not None:
                return _instant(afterwards, "lost_at") or ends_at
        return None


def _steps(outlook: Outlook) -> list[Outlook]:
    """As it stands, and behind every clock that runs out if nobody acts."""
    walking = outlook.fork()
    steps = [walking.fork()]
    while len(steps) < STEPS_MAX and walking.next_change() is not None and not only_late(walking.next_bell()):
        steps.append(walking.fork())
    return steps


def refusal(outlook: Outlook, command: Command, at: datetime) -> Refusal | None:
    """Of one command at one instant; None: it is obeyed."""
    for one in outlook.fork(at).say(command):
        event: Any = one.event
        if isinstance(event, Rejected) or event.type == FINAL_NO:
            return Refusal(event.code, event.message, event.details)
    return None


def _instant(said: Refusal | None, name: str) -> datetime | None:
    found = ((said and said.details) or {}).get(name)
    return None if found is None else datetime.fromisoformat(found)


class Subjects:
    """What the events of an order have named, so that a command may name it."""

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

    def tries(self, model: type[Command], order_id: str, actor: Actor, now: datetime) -> Iterator[Command]:
        """The commands of this kind that may be of use: one for each thing that it may be about."""
        for about in self._abouts(model, actor):
            whose = {"order_id": order_id, "actor": actor.model_dump(), "at": rfc3339(now)}
            said = {**example(model), **whose, **UNASSUMING, **about}
            known = {name: value for name, value in said.items() if name in model.model_fields}
            try:
                yield model.model_validate_json(json.dumps(known))
            except ValidationError:
                continue  # of gifts alone no money can be asked for

    def _abouts(self, model: type[Command], actor: Actor) -> Iterator[dict[str, Any]]:
        fields = model.model_fields
        if model.type == "dispute.open.v1":
            yield {"dispute_id": f"d-{len(self.claims) + 1}-tried", "terms": _terms(1)}
        elif model.type == "order.refund.v1":
            yield from ({"lines": [{"line_id": one, "refund_minor": 1}]} for one in self.lines)
        elif "settlement_id" in fields:
            yield from ({"settlement_id": settlement_id, "leg": leg} for settlement_id, leg in self.legs)
        elif "dispute_id" in fields:
            for dispute_id, claimed_minor in self.claims.items():
                minor = min(claimed_minor, 1)
                about = {"dispute_id": dispute_id, "terms": _terms(minor), "refund_minor": minor}
                yield from (about | one for one in self._of_dispute(model, actor, dispute_id))
        else:
            yield {}

    def _of_dispute(self, model: type[Command], actor: Actor, dispute_id: str) -> Iterator[dict[str, Any]]:
        fields, questions = model.model_fields, self.questions.get(dispute_id, [])
        if "offer_id" in fields:
            offer = self.offers.get((dispute_id, "seller" if actor.role == "buyer" else "buyer"))
            yield from [] if offer is None else [{"offer_id": offer}]
        elif model.type == "mediation.answer.v1":
            yield from ({"question_id": one} for one in questions)
        elif model.type == "mediation.ask.v1":
            yield {"question_id": f"q-{len(questions) + 1}-tried"}
        elif model.type == "dispute.modify.v1":
            yield {"reason": None}
        elif model.type == "dispute.cancel.v1":
            yield from ({"expect": one} for one in ("reopenable", "released_to_seller"))
        elif "expect" in fields:
            yield {"expect": "released_to_seller" if model.type == "mediation.cancel.v1" else None}
        else:
            yield {}


def _terms(refund_minor: int) -> dict[str, Any]:
    return {"kind": "refund" if refund_minor else "none", "refund_minor": refund_minor}
