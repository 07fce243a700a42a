"""How the refund service deals with the payment provider (N7), by what both of them said."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from services.refund.policy import ATTEMPTS_MAX
from shared.kernel.codec import header

if TYPE_CHECKING:
    from tests.simulation.play import Played

DONE = ("refund.settled.v1", "refund.paid_out.v1", "refund.charged_back.v1")
TOLD = (*DONE, "refund.requested.v1", "refund.submitted.v1", "refund.failed.v1", "refund.review_needed.v1")
NOBODY_KNOWS = ("no_answer", "mismatch")
"""Whether the money moved: why the operator was called."""


def payments_are_asked_for_under_one_key(played: "Played") -> Iterator[str]:
    """E1: the same key never asks for two things."""
    asked: dict[str, Any] = {}
    for record in played.world.bus.records("payments.commands"):
        data = json.loads(record.value or b"{}")
        is_call = header(record.headers, "ce_type") != "payment.query.v1"
        if is_call and asked.setdefault(data["payment_key"], data) != data:
            yield f"{data['payment_key']} asks for two things"


def who_does_not_know_asks(played: "Played") -> Iterator[str]:
    """What may have moved is asked about before it is sent again, a no that is final is believed, and nobody pays
    beside a provider who may still answer."""
    answers = {
        header(record.headers, "ce_id"): json.loads(record.value or b"{}")
        for record in played.world.bus.records("payments.events")
    }
    before: dict[tuple[str | None, str, str], tuple[str, dict[str, Any]]] = {}
    calls: dict[tuple[str | None, str, str], int] = {}
    for row, data in played.told("refund"):
        if row.type not in TOLD:
            continue
        movement = row.stream_id, data["settlement_id"], data["leg"]
        last, said = before.get(movement, ("", {}))
        answer = answers.get(row.causation_id or "", {})
        if row.type == "refund.submitted.v1":
            calls[movement] = 1 if row.command_id is not None else calls.get(movement, 0) + 1
            if calls[movement] > ATTEMPTS_MAX:
                yield f"{movement}: call {calls[movement]}"
            if not data["asking"] and _may_have_moved(last, said, answer):
                yield f"{movement} is sent again after {last} {said}, {answer}"
            if last == "refund.failed.v1" and not said["retryable"]:
                yield f"{movement} is sent again after {said}"
        if row.type in DONE:
            if row.command_id is not None and last == "refund.submitted.v1":
                yield f"{movement} is paid by hand while the provider may still answer"
            if row.command_id is None and answer.get("amount_minor") != amount_of(data):
                yield f"{movement} over {amount_of(data)} is done by {answer}"
        before[movement] = row.type, data
    for movement, (last, _) in before.items():
        if last not in (*DONE, "refund.review_needed.v1"):
            yield f"{movement} ends with {last}"


def amount_of(done: dict[str, Any]) -> int:
    return int(done["refund_minor"] if "refund_minor" in done else done["amount_minor"])


def _may_have_moved(last: str, said: dict[str, Any], answer: dict[str, Any]) -> bool:
    match last:
        case "refund.submitted.v1":
            return not (said["asking"] and answer.get("code") == "unknown_key")
        case "refund.review_needed.v1":
            return said["reason"] in NOBODY_KNOWS
    return last in DONE


def a_second_payment_is_somebodys_business(played: "Played") -> Iterator[str]:
    """Where the provider says something else than what was believed, an operator hears of it."""
    done: dict[str, tuple[str, int]] = {}
    told: set[str] = set()
    for row, data in played.told("refund"):
        key = f"{data.get('settlement_id')}/{data.get('leg')}"
        if row.type in DONE:
            done[key] = data["provider_reference"], amount_of(data)
        elif row.type == "refund.review_needed.v1" and data["reason"] in ("mismatch", "settled_again"):
            told.add(key)
    for record in played.world.bus.records("payments.events"):
        said = json.loads(record.value or b"{}")
        key = said["payment_key"]
        moved = (said["provider_reference"], said["amount_minor"]) if "amount_minor" in said else None
        if moved not in (None, done.get(key)) and key not in told:
            yield f"{key}: {said}, believed is {done.get(key)}, and nobody was told"


CHECKS: tuple[Callable[["Played"], Iterator[str]], ...] = (
    payments_are_asked_for_under_one_key,
    who_does_not_know_asks,
    a_second_payment_is_somebodys_business,
)
