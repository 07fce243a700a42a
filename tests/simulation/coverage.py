"""How far the search has looked: which inputs met which states, and under which faults."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, get_args

from schemas.dispute.shapes import DisputeStatus
from schemas.mediation.shapes import MediationStatus
from schemas.order.shapes import OrderStatus
from schemas.wire import Command, Message, Service
from services.dispute.case import RUNS
from services.dispute.case import STATUS as DISPUTE_STATUS
from services.mediation import case
from services.mediation.states import Cases
from services.order import states as order_states
from services.refund.calling import NamedFailure
from services.refund.movement import leg_key
from services.refund.states import Order as Movements
from shared.kernel.decider import Deadline, Decider, Output
from shared.kernel.policies import Policies

Cell = tuple[Service, str, str]
"""service, state, type of input"""

NONE = "none"
LEGS = (NONE, "placed", "called", "failed", "inreview", "done")
STATES: dict[Service, Sequence[str]] = {
    "order": (NONE, *get_args(OrderStatus)),
    "dispute": (NONE, *get_args(DisputeStatus)),
    "mediation": (NONE, *get_args(MediationStatus)),
    "refund": LEGS,
}
"""Where what an input is about may stand. Of a movement: `placed` before there is one. Left out: what only a topic out
of order could bring about, such as a movement of an order that was not placed."""
DEADLINES: dict[Service, Sequence[tuple[str, str]]] = {
    "order": (
        ("awaiting_payment", "payment_window"),
        *(("awaiting_shipment", name) for name in ("processing_ends", "processing_reminder")),
        *((status, name) for status in ("awaiting_confirmation", "disputed", "payment_processing")
          for name in ("protection_reminder", "protection_ends", "processing_ends", "processing_reminder")),
    ),
    "dispute": tuple((DISPUTE_STATUS[state], name) for state, names in RUNS.items() for name in names),
    "mediation": (
        ("processing", "mediator_due"),
        *((status, name) for status in ("waiting_buyer", "waiting_seller", "waiting_both")
          for name in ("answer", "answer_reminder")),
        *((status, "mediation_max") for status in ("processing", "waiting_buyer", "waiting_seller", "waiting_both")),
    ),
    "refund": (
        *((stage, "refund_due") for stage in ("called", "failed", "inreview")),
        *((stage, "refund_retry") for stage in ("called", "failed")),
    ),
}  # fmt: skip
"""Which clock runs in which state (docs/RULES.md, timer service)."""
ROSTER = ("mediation.register_mediator.v1", "mediation.retire_mediator.v1")
APART = {*ROSTER, *(f"{service}.resume.v1" for service in STATES)}
"""The roster is no order, and of parked orders the shard loop knows, no decider."""

COMES_IN: dict[tuple[Service, str], Sequence[str]] = {
    # The order answers a request once, and mediation speaks, to its last word, of a dispute that is before it.
    **{("dispute", f"order.{name}.v1"): ("requested",) for name in ("lines_frozen", "freeze_refused")},
    **{("dispute", f"mediation.{name}.v1"): ("in_mediation",)
       for name in ("answered", "cancelled", "decided", "defaulted", "offer_accepted")},
    # A round begins where there is none, and an appeal is against a decision.
    ("mediation", "dispute.escalated.v1"): (NONE, "decided", "closed"),
    ("mediation", "dispute.appealed.v1"): ("decided",),
    # A dispute that is closed had lines in dispute; a refund that is settled was being executed, or ran beside (R5).
    ("order", "dispute.closed.v1"): ("disputed",),
    # A capture is told at once where it was believed, and of an order that must be paid while it waits, or too late.
    ("order", "refund.captured.v1"): ("awaiting_payment", "awaiting_shipment", "cancelled"),
    ("refund", "payment.captured.v1"): ("placed",),
    ("order", "refund.settled.v1"): ("disputed", "payment_processing", "cancelled"),
    # What an order has to pay is new when it is heard, and heard after the order; the provider answers who asked.
    ("refund", "order.placed.v1"): (NONE,),
    **{("refund", f"order.{name}.v1"): ("placed",) for name in ("cancelled", "lines_released", "settled")},
    **{("refund", f"payment.{name}.v1"): ("called", "failed", "inreview", "done") for name in ("settled", "failed")},
    ("refund", "payment.reversed.v1"): ("done",),
}  # fmt: skip
"""Events that can only come in these states, because of who says them when; all others, and every command, in any."""


@dataclass
class Visited:
    """`fault`: the newest that struck since people last spoke."""

    cells: Counter[tuple[Cell, str]] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    fault: str = NONE

    def watch(self, decider: Decider[Any, Any, Any]) -> Decider[Any, Any, Any]:
        """The same decider, seen at work."""
        service = decider.service
        if service not in STATES:
            return decider

        def watched(asked: Callable[..., Sequence[Output]]) -> Callable[..., Sequence[Output]]:
            def watching(state: Any, payload: Any, now: datetime, policies: Policies) -> Sequence[Output]:
                heard = payload.event if isinstance(payload, NamedFailure) else payload
                kind = heard.name if isinstance(heard, Deadline) else heard.type
                self.cells[(service, state_of(service, state, heard), kind), self.fault] += 1
                return asked(state, payload, now, policies)

            return watching

        return replace(
            decider,
            decide=watched(decider.decide),
            react=watched(decider.react),
            expire=watched(decider.expire),
        )

    def __iadd__(self, other: "Visited") -> "Visited":
        self.cells += other.cells
        self.struck += other.struck
        return self


def state_of(service: Service, state: Any, heard: Any) -> str:
    """Where what the input is about stands, in a word."""
    about = heard.subject if isinstance(heard, Deadline) else getattr(heard, "dispute_id", None)
    match service, state:
        case _, None:
            return NONE
        case "order", _:
            return order_states.status(state)
        case "dispute", _:
            return DISPUTE_STATUS[type(state[about])] if about in state else _only(DISPUTE_STATUS, state, heard)
        case "mediation", Cases(of=known):
            held = known.get(about or "") or next((one for one in known.values() if _asked(one, about)), None)
            return NONE if held is None else case.status(held)
        case "refund", Movements(legs=legs):
            key = about if isinstance(heard, Deadline) else getattr(heard, "payment_key", None)
            if key is None and hasattr(heard, "leg"):
                key = leg_key(heard.settlement_id, heard.leg)
            leg = legs.get((key or "").partition("~")[0])
            return "placed" if leg is None else type(getattr(leg, "at", leg)).__name__.lower()
    return type(state).__name__.lower()


def _only(names: Any, state: Any, heard: Any) -> str:
    """Of what concerns the whole order: where its newest dispute stands."""
    return NONE if hasattr(heard, "dispute_id") or not state else names[type(list(state.values())[-1])]


def _asked(held: case.Case, question_id: str | None) -> bool:
    return isinstance(held, case.InRound) and question_id in held.file.questions


def all_cells(deciders: Sequence[Decider[Any, Any, Any]]) -> Iterator[Cell]:
    """Everything that can meet: any command any state, an event those it can come in, a deadline those that hold it."""
    for decider in deciders:
        service = decider.service
        if service not in STATES:
            continue
        commands = [
            model.type
            for model in Message.MODELS.values()
            if issubclass(model, Command) and model.topic == f"{service}.commands" and model.type not in APART
        ]
        for input_ in (*commands, *(model.type for model in decider.subscriptions)):
            for state in COMES_IN.get((service, input_), STATES[service]):
                yield service, state, input_
        for state, name in DEADLINES[service]:
            yield service, state, name
