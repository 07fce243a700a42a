"""Who may (D2), and until when (S2): who is obeyed is who he says, and up to its last instant a right lasts."""

from collections.abc import Iterator
from typing import Any

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation, milliseconds
from deploy.verify.report import Violation

SPEAKING = ("order", "dispute", "mediation", "refund")
REFUSED = ("rejected.v1", "freeze_refused.v1")
NO_ACT = (".rejected.v1", ".repeated.v1")
JUDGING = ("mediation.assigned.v1", "mediation.decided.v1")
NEVER_FOR_SELLERS = "mediation.offer_declined.v1"


def check(history: OrderHistory) -> Iterator[Violation]:
    yield from _nobody_acts_for_another(history)
    yield from _nobody_judges_his_own_case(history)
    for one in history.said_by("mediation"):
        if one.type == NEVER_FOR_SELLERS and "seller" in one.data["visible_to"]:
            yield history.violated("D2", f"{one} is shown to the seller", one)
    yield from _who_is_too_late_or_too_early_is(history)


def acts(history: OrderHistory) -> Iterator[tuple[Observation, dict[str, Any]]]:
    """(event, actor) of what was obeyed. Who asks for a dispute is known when the order answers."""
    asked: dict[str, dict[str, Any] | None] = {}
    for service in SPEAKING:
        for one in history.said_by(service):
            actor = one.data.get("actor")
            if one.type == "dispute.requested.v1":
                asked[one.data["dispute_id"]], actor = actor, None
            elif one.type == "dispute.opened.v1":
                actor = asked.get(one.data["dispute_id"])
            if actor and not one.type.endswith(NO_ACT):
                yield one, actor


def _nobody_acts_for_another(history: OrderHistory) -> Iterator[Violation]:
    placed = next((one for one in history.said_by("order") if one.type == "order.placed.v1"), None)
    if placed is None:
        return
    for one, actor in acts(history):
        if actor["role"] in ("buyer", "seller") and actor["id"] != placed.data[actor["role"]]:
            sentence = f"{one} by the {actor['role']} {actor['id']}, who is {placed.data[actor['role']]}"
            yield history.violated("D2", sentence, one)


def _nobody_judges_his_own_case(history: OrderHistory) -> Iterator[Violation]:
    parties = next(
        ((one.data["buyer"], one.data["seller"]) for one in history.said_by("order") if one.type == "order.placed.v1"),
        (),
    )
    for one in history.said_by("mediation"):
        judge = one.data.get("mediator") if one.type == "mediation.assigned.v1" else one.data.get("mediator_id")
        if judge is not None and judge in parties and one.type in JUDGING:
            yield history.violated("D2", f"{one} by {judge}, whose own case it is", one)


def refusals(history: OrderHistory) -> Iterator[Observation]:
    said = (one for service in SPEAKING for one in history.said_by(service))
    yield from (one for one in said if one.type.endswith(REFUSED) and "code" in one.data)  # or it is a newer service's


def _who_is_too_late_or_too_early_is(history: OrderHistory) -> Iterator[Violation]:
    """By the time of the command; a claim by when the dispute service had it (R0)."""
    received = {
        one.data["dispute_id"]: one.data["received_at"]
        for one in history.said_by("dispute")
        if one.type == "dispute.requested.v1"
    }
    for one in refusals(history):
        details = one.data.get("details") or {}
        came = received.get(one.data["dispute_id"]) if one.type == "order.freeze_refused.v1" else one.time
        when, lost, available = map(milliseconds, (came, details.get("lost_at"), details.get("available_at")))
        if when is None:
            continue
        if one.data["code"] == "too_late" and lost is not None and when <= lost:
            yield history.violated("S2", f"{one}: too late at {came}, lost at {details['lost_at']}", one)
        if available is not None and when >= available:
            yield history.violated("S2", f"{one}: too early at {came}, available at {details['available_at']}", one)
