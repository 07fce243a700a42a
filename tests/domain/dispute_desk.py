"""One order's disputes, brought into each of their states; shared by the dispute service's tests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from schemas.common import Evidence, FrozenLine, Party, PolicyRef, Terms
from schemas.dispute import commands, events
from schemas.mediation.events import (
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    QuestionAnswered,
)
from schemas.order.events import FreezeRefused, LinesFrozen, ProtectionExtended
from schemas.policy import Duration
from schemas.wire import Actor, Message
from services.dispute.domain import DECIDER
from tests.domain.table import NOON, POLICIES, Desk, newest

BUYER, SELLER, PLATFORM = (
    Actor(role="buyer", id="bea"),
    Actor(role="seller", id="sam"),
    Actor(role="platform", id="gate"),
)
BEA, SAM = Party(id="bea", email="bea@example.org"), Party(id="sam", email="sam@example.org", locale="zh-CN")
SHIRTS = FrozenLine(line_id="shirts", quantity=2, amount_minor=1_000, released=False)
HAT = FrozenLine(line_id="hat", quantity=1, amount_minor=500, released=False)
CLAIMED_MINOR = 1_167
"""Two of three shirts and the hat."""
PROTECTED_UNTIL = NOON + timedelta(days=60)


def refund(refund_minor: int = 1_000) -> Terms:
    return Terms(kind="refund", refund_minor=refund_minor)


def goods_back(refund_minor: int = 1_000) -> Terms:
    return Terms(kind="return_and_refund", refund_minor=refund_minor)


def new_parcel(refund_minor: int = 1_000) -> Terms:
    return Terms(kind="replacement", refund_minor=refund_minor)


NOTHING = Terms(kind="none", refund_minor=0)


def photo(evidence_id: str, supersedes: str | None = None) -> Evidence:
    return Evidence(
        evidence_id=evidence_id,
        kind="photo",
        uri="https://files.example/1",
        media_type="image/jpeg",
        size_bytes=10,
        sha256="a" * 64,
        supersedes=supersedes,
    )


def photos(name: str, number: int) -> tuple[Evidence, ...]:
    return tuple(photo(f"{name}-{index}") for index in range(number))


def under(**changes: Any) -> PolicyRef:
    """The rules of `aliexpress`, with replacements, but for some."""
    _, policy = newest()
    name = sha256(repr(changes).encode()).hexdigest()
    ref = PolicyRef(name="changed", version=1, hash=name)
    POLICIES.by_ref[ref] = policy.model_copy(update={"replacement": True} | changes)
    return ref


def days(n: int) -> Duration:
    return Duration(n=n, unit="days")


def rejection(said: list[Message]) -> events.DisputeRejected:
    (refused,) = (message for message in said if isinstance(message, events.DisputeRejected))
    return refused


class DisputeDesk(Desk):
    """Everybody speaks of the dispute `d1`, as the right person, unless told otherwise."""

    def __init__(self, policy: PolicyRef | None = None, disputable_until: datetime = PROTECTED_UNTIL) -> None:
        super().__init__(DECIDER)
        self.policy = policy or under()
        self.disputable_until = disputable_until
        self.speaker: Actor | None = None
        """Whoever says everything, instead of the right person."""

    def dispute(self, dispute_id: str = "d1") -> Any:
        return self.state[dispute_id]

    def say(
        self,
        command: type[commands.DisputeCommand],
        by: Actor | None = None,
        dispute_id: str = "d1",
        **data: Any,
    ) -> list[Message]:
        default = {"buyer": BUYER, "seller": SELLER, "platform": PLATFORM}
        role = next(role for role in default if role in command.by)
        actor = self.speaker or by or default[role]
        return self.send(command(order_id=self.stream.id, actor=actor, dispute_id=dispute_id, **data))

    def due(self, name: str) -> datetime:
        return next(deadline.due_at for deadline in DECIDER.deadlines(self.state) if deadline.name == name)

    def past(self, name: str) -> list[Message]:
        """Just after that deadline the bell rings."""
        self.now = self.due(name) + timedelta(milliseconds=1)
        return self.ring()

    # what the parties do

    def request(self, terms: Terms | None = None, dispute_id: str = "d1", **data: Any) -> list[Message]:
        claim: dict[str, Any] = {
            "received": True,
            "reason": "damaged",
            "description": "Torn",
            "terms": terms or refund(),
        }
        return self.say(commands.OpenDispute, dispute_id=dispute_id, **(claim | data))

    def freeze(self, dispute_id: str = "d1", lines: tuple[FrozenLine, ...] = (SHIRTS, HAT)) -> list[Message]:
        return self.hear(
            LinesFrozen(
                order_id=self.stream.id,
                status="disputed",
                dispute_id=dispute_id,
                lines=lines,
                claimed_minor=CLAIMED_MINOR if len(lines) > 1 else lines[0].amount_minor,
                buyer=BEA,
                seller=SAM,
                currency="EUR",
                policy=self.policy,
                disputable_until=self.disputable_until,
            )
        )

    def refuse_freeze(self) -> list[Message]:
        return self.hear(
            FreezeRefused(
                order_id=self.stream.id,
                dispute_id="d1",
                code="too_late",
                message="The time to dispute this order is over.",
                details={"lost_at": "2026-03-01T00:00:00.000Z"},
            )
        )

    def open(self, terms: Terms | None = None, dispute_id: str = "d1", **data: Any) -> list[Message]:
        self.request(terms, dispute_id, **data)
        return self.freeze(dispute_id)

    def extend(self, **duration: float) -> list[Message]:
        self.disputable_until += timedelta(**duration)
        return self.hear(
            ProtectionExtended(
                order_id=self.stream.id,
                status="disputed",
                days=int(timedelta(**duration).days),
                disputable_until=self.disputable_until,
                reminder_at=None,
            )
        )

    def modify(self, **data: Any) -> list[Message]:
        return self.say(commands.ModifyDispute, **data)

    def show(self, *evidence: Evidence, by: Actor = BUYER, dispute_id: str = "d1") -> list[Message]:
        return self.say(commands.AddEvidence, by, dispute_id, evidence=evidence)

    def write(self, by: Actor = BUYER) -> list[Message]:
        return self.say(commands.SendMessage, by, text="Where is it?")

    def offer(self, terms: Terms, by: Actor = SELLER) -> list[Message]:
        return self.say(commands.MakeOffer, by, terms=terms)

    def reject(self) -> list[Message]:
        return self.say(commands.RejectOffer, message="It was whole.")

    def accept(self, offer_id: int, by: Actor = BUYER, **data: Any) -> list[Message]:
        return self.say(commands.AcceptOffer, by, offer_id=offer_id, **data)

    def cancel(self, expect: str = "reopenable", dispute_id: str = "d1") -> list[Message]:
        return self.say(commands.CancelDispute, dispute_id=dispute_id, expect=expect)

    def escalate(self) -> list[Message]:
        return self.say(commands.Escalate, statement="He does not listen.")

    def ship_return(self) -> list[Message]:
        return self.say(commands.ShipReturn, carrier="Post", tracking_number="RR1")

    def correct_return(self) -> list[Message]:
        return self.say(commands.CorrectReturnTracking, carrier="Hermes", tracking_number="RR9")

    def report(self, status: str = "delivered") -> list[Message]:
        return self.say(commands.ReportReturn, status=status, at=self.now)

    def confirm_return(self) -> list[Message]:
        return self.say(commands.ConfirmReturn)

    def contest(self, *evidence: Evidence) -> list[Message]:
        return self.say(
            commands.ContestReturn,
            reason="empty",
            description="A stone",
            evidence=evidence or (photo("stone"),),
        )

    def ship_replacement(self) -> list[Message]:
        return self.say(commands.ShipReplacement, carrier="Post", tracking_number="RR2")

    def confirm_replacement(self) -> list[Message]:
        return self.say(commands.ConfirmReplacement)

    def appeal(self, by: Actor = BUYER, *evidence: Evidence) -> list[Message]:
        return self.say(commands.Appeal, by, explanation="He has not seen the video.", evidence=evidence)

    def waive(self, by: Actor = BUYER) -> list[Message]:
        return self.say(commands.WaiveAppeal, by)

    # what mediation says

    def decide(
        self, refund_minor: int = 400, return_required: bool = False, round_: int = 1, last_offer_id: int | None = None
    ) -> list[Message]:
        return self.hear(
            MediationDecided(
                order_id=self.stream.id,
                dispute_id="d1",
                status="decided",
                round=round_,
                mediator_id="mia",
                refund_minor=refund_minor,
                return_required=return_required,
                rationale="The photo shows it.",
                rules=("R46",),
                evidence_ids=("stone",),
                last_offer_id=last_offer_id,
            )
        )

    def default(
        self,
        cause: Any = "buyer_silent",
        effect: Any = "decided",
        refund_minor: int = 0,
        round_: int = 1,
    ) -> list[Message]:
        return self.hear(
            MediationDefaulted(
                order_id=self.stream.id,
                dispute_id="d1",
                status="decided",
                round=round_,
                against="buyer" if refund_minor == 0 else "seller",
                cause=cause,
                refund_minor=refund_minor,
                return_required=False,
                effect=effect,
            )
        )

    def answer(self, *evidence: Evidence, by: Any = "buyer") -> list[Message]:
        """A party shows something to the mediator who asked."""
        return self.hear(
            QuestionAnswered(
                order_id=self.stream.id,
                dispute_id="d1",
                status="processing",
                question_id="q1",
                by=by,
                text="See there.",
                evidence=evidence,
                mediator_due_by=None,
            )
        )

    def agree(self, terms: Terms | None = None, offer_id: int = 3) -> list[Message]:
        """The buyer accepts the seller's solution in mediation."""
        return self.hear(
            MediationOfferAccepted(
                order_id=self.stream.id,
                dispute_id="d1",
                status="closed",
                offer_id=offer_id,
                by="buyer",
                terms=terms or refund(300),
            )
        )

    def give_up(self) -> list[Message]:
        return self.hear(MediationCancelled(order_id=self.stream.id, dispute_id="d1", status="closed", round=1))


def _nothing(desk: DisputeDesk) -> None:
    pass


def _refused(desk: DisputeDesk) -> None:
    desk.request()
    desk.refuse_freeze()


def _negotiating(desk: DisputeDesk) -> None:
    desk.open()
    desk.reject()


def _in_mediation(desk: DisputeDesk) -> None:
    _negotiating(desk)
    desk.escalate()


def _decided(desk: DisputeDesk) -> None:
    _in_mediation(desk)
    desk.decide()


def _awaiting_return(desk: DisputeDesk) -> None:
    desk.open(goods_back())
    desk.accept(1, SELLER)


def _return_shipped(desk: DisputeDesk) -> None:
    _awaiting_return(desk)
    desk.ship_return()


def _awaiting_replacement(desk: DisputeDesk) -> None:
    desk.open(new_parcel())
    desk.accept(1, SELLER)


def _replacement_shipped(desk: DisputeDesk) -> None:
    _awaiting_replacement(desk)
    desk.ship_replacement()


def _closed(desk: DisputeDesk) -> None:
    desk.open()
    desk.accept(1, SELLER)


STATES: dict[str, Callable[[DisputeDesk], Any]] = {
    "unknown": _nothing,
    "requested": lambda desk: desk.request(),
    "refused": _refused,
    "awaiting_seller": lambda desk: desk.open(),
    "negotiating": _negotiating,
    "in_mediation": _in_mediation,
    "decided": _decided,
    "awaiting_return": _awaiting_return,
    "return_shipped": _return_shipped,
    "awaiting_replacement": _awaiting_replacement,
    "replacement_shipped": _replacement_shipped,
    "closed": _closed,
}


def desk_in(state: str, **changes: Any) -> DisputeDesk:
    """A desk whose dispute `d1` is in that state, under the rules of `aliexpress` but for some."""
    desk = DisputeDesk(under(**changes))
    STATES[state](desk)
    return desk
