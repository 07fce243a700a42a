"""A case of mediation to test with: who takes part, what they say, and how a case comes to stand somewhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from schemas.common import Evidence, Offer, Party, PolicyRef, Terms
from schemas.dispute.events import DisputeAppealed, DisputeEscalated, EvidenceAdded
from schemas.dispute.shapes import FiledEvidence
from schemas.mediation.commands import (
    AcceptSolution,
    AnswerQuestion,
    AskQuestion,
    AssignMediator,
    CancelArbitration,
    Decide,
    DeclineSolution,
    OfferSolution,
)
from schemas.wire import Actor, Message
from services.mediation.domain import DECIDER
from tests.domain.table import POLICIES, Desk, newest

BUYER = Actor(role="buyer", id="bea")
SELLER = Actor(role="seller", id="sam")
OPERATOR = Actor(role="operator", id="olga")
ROSTER = Actor(role="platform", id="mediation")

CLAIM = Offer(offer_id=1, by="buyer", terms=Terms(kind="refund", refund_minor=8_000))
COUNTER = Offer(offer_id=2, by="seller", terms=Terms(kind="refund", refund_minor=2_000))
CLAIMED_MINOR = 10_000
FILED = (FiledEvidence(evidence_id="p1", by="buyer"), FiledEvidence(evidence_id="s1", by="seller"))
"""What the parties showed while they negotiated."""


def under(**changes: Any) -> PolicyRef:
    """The rules of `aliexpress` but for some."""
    _, policy = newest()
    name = "-".join(["aliexpress", *(f"{key}.{value}" for key, value in changes.items())])
    ref = PolicyRef(name=name.replace("_", "-")[:64], version=1, hash="0" * 64)
    POLICIES.by_ref[ref] = policy.model_copy(update=changes)
    return ref


def mediator(name: str) -> Actor:
    return Actor(role="mediator", id=name)


def evidence(evidence_id: str, supersedes: str | None = None) -> Evidence:
    return Evidence(
        evidence_id=evidence_id,
        kind="photo",
        uri="https://files.example/1",
        media_type="image/jpeg",
        size_bytes=10,
        sha256="a" * 64,
        supersedes=supersedes,
    )


class Room(Desk):
    """One order's cases; by default all is about the dispute `d1`."""

    def __init__(self, policy: PolicyRef | None = None, claim: Offer = CLAIM, received: bool | None = True) -> None:
        super().__init__(DECIDER)
        self.policy, self.claim, self.received = policy or newest()[0], claim, received

    @property
    def case(self) -> Any:
        return self.state.of["d1"]

    def next_round(self) -> int:
        return self.case.file.round + 1 if self.state and "d1" in self.state.of else 1

    def ring_after(self, name: str) -> list[Message]:
        """A bell just after the deadline of that name."""
        self.until(name)
        return self.ring()

    def until(self, name: str) -> None:
        """Just after the deadline of that name."""
        due = min(deadline.due_at for deadline in DECIDER.deadlines(self.state) if deadline.name == name)
        self.now = due + timedelta(milliseconds=1)

    def due(self) -> Any:
        return DECIDER.earliest(self.state)

    def escalate(
        self,
        cause: Literal["no_agreement", "return_contested"] = "no_agreement",
        dispute_id: str = "d1",
        offers: tuple[Offer, ...] | None = None,
    ) -> list[Message]:
        return self.hear(self.escalated(cause, dispute_id, offers))

    def escalated(
        self,
        cause: Literal["no_agreement", "return_contested"] = "no_agreement",
        dispute_id: str = "d1",
        offers: tuple[Offer, ...] | None = None,
    ) -> DisputeEscalated:
        return DisputeEscalated(
            order_id=self.stream.id,
            dispute_id=dispute_id,
            status="in_mediation",
            round=self.next_round(),
            by="system",
            cause=cause,
            buyer=Party(id="bea", email="bea@example.org"),
            seller=Party(id="sam", email="sam@example.org"),
            policy=self.policy,
            claimed_minor=CLAIMED_MINOR,
            received=self.received,
            offers=offers if offers is not None else (self.claim, COUNTER),
            last_offer_id=2,
            filed=FILED,
        )

    def appeal(
        self, by: Literal["buyer", "seller"] = "seller", filed: tuple[FiledEvidence, ...] = FILED
    ) -> list[Message]:
        return self.hear(
            DisputeAppealed(
                order_id=self.stream.id,
                dispute_id="d1",
                status="in_mediation",
                round=self.next_round(),
                by=by,
                explanation="the parcel was complete",
                filed=filed,
            )
        )

    def show_unasked(self, evidence_id: str, by: Literal["buyer", "seller"] = "buyer") -> list[Message]:
        """Filed with the dispute service."""
        return self.hear(
            EvidenceAdded(
                order_id=self.stream.id,
                dispute_id="d1",
                status="in_mediation",
                by=by,
                evidence=(evidence(evidence_id),),
                unsolicited=True,
            )
        )

    def assign(self, who: str = "m1", by: Actor = OPERATOR, **more: Any) -> list[Message]:
        return self._say(AssignMediator, by, mediator_id=who, **more)

    def given(self, who: str = "m1", **more: Any) -> list[Message]:
        """By the roster."""
        answer = AssignMediator(order_id=self.stream.id, actor=ROSTER, dispute_id="d1", mediator_id=who, **more)
        return self.hear(answer)

    def ask(self, to: str, question_id: str = "q1", by: str = "m1", dispute_id: str = "d1") -> list[Message]:
        about = {"question_id": question_id, "to": to, "question": "What was in it?", "dispute_id": dispute_id}
        return self._say(AskQuestion, mediator(by), **about)

    def answer(
        self, by: Actor, question_id: str = "q1", shows: tuple[str, ...] = (), supersedes: str | None = None
    ) -> list[Message]:
        files = tuple(evidence(one, supersedes) for one in shows)
        return self._say(AnswerQuestion, by, question_id=question_id, text="A kettle.", evidence=files)

    def offer(self, refund_minor: int = 5_000, kind: str = "refund", by: Actor = SELLER) -> list[Message]:
        return self._say(OfferSolution, by, terms=Terms(kind=kind, refund_minor=refund_minor))  # type: ignore[arg-type]

    def accept(self, offer_id: int, by: Actor = BUYER, **more: Any) -> list[Message]:
        return self._say(AcceptSolution, by, offer_id=offer_id, **more)

    def decline(self, offer_id: int = 3, by: Actor = BUYER) -> list[Message]:
        return self._say(DeclineSolution, by, offer_id=offer_id)

    def decide(
        self,
        refund_minor: int = 4_000,
        by: str = "m1",
        return_required: bool = False,
        evidence_ids: tuple[str, ...] = ("p1",),
    ) -> list[Message]:
        return self._say(
            Decide,
            mediator(by),
            refund_minor=refund_minor,
            return_required=return_required,
            rationale="half of it was broken",
            rules=("R46",),
            evidence_ids=evidence_ids,
        )

    def cancel(self, expect: str = "released_to_seller", by: Actor = BUYER) -> list[Message]:
        return self._say(CancelArbitration, by, expect=expect)

    def _say(self, command: Any, actor: Actor, **data: Any) -> list[Message]:
        return self.send(command(**{"order_id": self.stream.id, "dispute_id": "d1", "actor": actor} | data))


STEPS: dict[str, Callable[[Room], Any]] = {
    "escalated": lambda room: room.escalate(),
    "assigned": lambda room: room.assign(),
    "asked_buyer": lambda room: room.ask("buyer"),
    "asked_seller": lambda room: room.ask("seller"),
    "asked_seller2": lambda room: room.ask("seller", "q2"),
    "asked_both": lambda room: room.ask("both"),
    "buyer_answered": lambda room: room.answer(BUYER),
    "seller_answered": lambda room: room.answer(SELLER),
    "solution": lambda room: room.offer(),
    "no_thanks": lambda room: room.decline(),
    "decided": lambda room: room.decide(),
    "accepted_3": lambda room: room.accept(3),
    "accepted": lambda room: room.accept(2),
    "cancelled": lambda room: room.cancel(),
    "appealed": lambda room: room.appeal(),
    "assigned_m2": lambda room: room.assign("m2"),
    "overdue": lambda room: room.ring_after("mediator_due"),
    "silence": lambda room: room.ring_after("answer"),
    "run_out": lambda room: room.ring_after("mediation_max"),
}


def room_at(path: str, **about: Any) -> Room:
    """`assigned>asked_both`: escalated, and then these steps; `nothing` before anything was heard."""
    room = Room(**about)
    if path != "nothing":
        for step in ["escalated", *path.split(">")]:
            if step != "seeking":
                STEPS[step](room)
    return room
