"""D1 and D2 of the quarrel: the last word is the last, everybody acts for himself, and in time."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from schemas.wire import Service
from shared.kernel.codec import header
from tests.simulation.known import at

if TYPE_CHECKING:
    from tests.simulation.play import Played

SPEAKING: tuple[Service, ...] = ("order", "dispute", "mediation", "refund")
QUARRELLING: tuple[Service, ...] = ("dispute", "mediation")
NO_HISTORY = ("dispute.rejected.v1", "dispute.resumed.v1")


def what_is_final_stays_final(played: "Played") -> Iterator[str]:
    """D1 of the disputes: closed for good is closed, one appeal, and nothing is judged again after the last word."""
    closed: set[tuple[str | None, str]] = set()
    appealed: Counter[tuple[str | None, str]] = Counter()
    agreed: dict[tuple[str | None, str], int] = {}
    for row in played.rows("dispute"):
        if not row.type.startswith("dispute.") or row.topic is None or row.type in NO_HISTORY:
            continue
        data = json.loads(row.data or b"{}")
        dispute = row.stream_id, data["dispute_id"]
        if dispute in closed:
            yield f"{dispute} was closed, then came {row.type}"
        match row.type:
            case "dispute.closed.v1":
                closed.add(dispute)
                if data["outcome"] == "offer_accepted" and data["refund_minor"] != agreed.get(dispute):
                    yield f"{dispute} was settled on {data['refund_minor']}, agreed were {agreed.get(dispute)}"
            case "dispute.offer_accepted.v1":
                agreed[dispute] = data["terms"]["refund_minor"]
            case "dispute.appealed.v1":
                appealed[dispute] += 1
                if appealed[dispute] > 1:
                    yield f"{dispute} was appealed twice"


def the_last_round_decides(played: "Played") -> Iterator[str]:
    """D1 of the rounds: an appeal is heard by somebody else, for want of time the first decision stands, and a question
    is answered once."""
    rulings: dict[tuple[str | None, str], list[tuple[str | None, int]]] = defaultdict(list)
    answered: set[tuple[str | None, str, str]] = set()
    appealed = {
        (row.stream_id, data["dispute_id"], data["round"])
        for row, data in played.told("dispute")
        if row.type == "dispute.appealed.v1"
    }
    for row, data in played.told("mediation"):
        if "dispute_id" not in data or row.stream_id is None:
            continue
        dispute = row.stream_id, data["dispute_id"]
        on_appeal = (*dispute, data.get("round")) in appealed
        match row.type.partition(".")[2]:
            case "opened.v1" | "assigned.v1" if on_appeal and data["mediator"] is not None:
                if data["mediator"]["id"] == rulings[dispute][-1][0]:
                    yield f"{dispute}: {data['mediator']['id']} hears the appeal against himself"
            case "decided.v1" | "defaulted.v1":
                if (
                    on_appeal
                    and data.get("cause") == "mediation_max"
                    and data["refund_minor"] != rulings[dispute][-1][1]
                ):
                    yield f"{dispute}: {rulings[dispute]} stood, for want of time it is {data['refund_minor']}"
                rulings[dispute].append((data.get("mediator_id"), data["refund_minor"]))
            case "answered.v1":
                answer = row.stream_id, data["question_id"], data["by"]
                if answer in answered:
                    yield f"{dispute}: {data['by']} answers {data['question_id']} again"
                answered.add(answer)


def what_was_decided_stands(played: "Played") -> Iterator[str]:
    """D1 of the decision: it is the last round's, and neither giving up nor one party alone undoes it."""
    rounds: dict[tuple[str | None, str], int] = {}
    waived: dict[tuple[str | None, str], dict[str | None, str]] = {}
    """Of what was decided: who waived his appeal, by his command."""
    for row, data in played.told("dispute"):
        dispute, cause = (row.stream_id, data.get("dispute_id", "")), row.causation_id
        match row.type.removeprefix("dispute."):
            case "escalated.v1" | "appealed.v1":
                rounds[dispute] = data["round"]
            case "decided.v1":
                waived[dispute] = {}
                if data["round"] != rounds[dispute]:
                    yield f"{dispute} is in round {rounds[dispute]}, decided is {data['round']}"
            case "appeal_waived.v1":
                waived[dispute][cause] = data["by"]
            case "closed.v1" | "return_awaited.v1":
                if dispute in waived and not data.get("final", True):
                    yield f"{dispute} was decided, and comes back"
                if cause in waived.get(dispute, {}) and len(waived[dispute]) < 2:
                    yield f"{dispute}: {waived[dispute]} waived the appeal of both"


def what_is_accepted_stood_last(played: "Played") -> Iterator[str]:
    """D1 of the offers: who accepts gets what the other side offered last, and not what he said no thanks to. Of offers
    in mediation the dispute hears when they are accepted."""
    meant = {
        (record.key or b"", header(record.headers, "ce_id")): json.loads(record.value or b"{}").get("offer_id")
        for record in reversed(played.commands)  # the first of an id counts
    }
    for service in QUARRELLING:
        newest: dict[tuple[str | None, str, str], int] = {}
        declined: set[tuple[str | None, str, int]] = set()
        for row, data in played.told(service):
            match row.type.removeprefix(f"{service}."):
                case "offer_made.v1":
                    newest[row.stream_id, data["dispute_id"], data["by"]] = data["offer_id"]
                case "offer_declined.v1":
                    declined.add((row.stream_id, data["dispute_id"], data["offer_id"]))
                case "offer_accepted.v1":
                    place = row.stream_id, data["dispute_id"]
                    last = newest.get((*place, "seller" if data["by"] == "buyer" else "buyer"), data["offer_id"])
                    if data["offer_id"] < last or (*place, last) in declined:
                        yield f"{place}: offer {data['offer_id']} was accepted, {last} stood, declined {declined}"
                    wish = meant.get(((row.stream_id or "").encode(), row.command_id))
                    if wish not in (None, data["offer_id"]):
                        yield f"{place}: offer {wish} was meant, {data['offer_id']} accepted"


def nobody_acts_for_another(played: "Played") -> Iterator[str]:
    """D2 of acts: who is obeyed is who he says. Who asks for a dispute is known when the order answers."""
    asked: dict[tuple[str | None, str], Any] = {}
    for service in SPEAKING:
        for row in played.rows(service):
            if row.stream_id not in played.orders or row.topic is None or row.type.endswith(".rejected.v1"):
                continue
            data = json.loads(row.data or b"{}")
            actor = data.get("actor") if row.command_id is not None else None
            match row.type:
                case "dispute.requested.v1":
                    asked[row.stream_id, data["dispute_id"]], actor = actor, None
                case "dispute.opened.v1":
                    actor = asked.get((row.stream_id, data["dispute_id"]))
            if actor and actor["id"] != played.orders[row.stream_id].people.get(actor["role"], actor["id"]):
                yield f"{row.type} of {row.stream_id} by {actor}, who is somebody else"


def who_is_too_late_or_too_early_is(played: "Played") -> Iterator[str]:
    """R0: up to its last instant a right lasts, and from its first on it is there."""
    received = {
        (row.stream_id, data["dispute_id"]): datetime.fromisoformat(data["received_at"])
        for row, data in played.told("dispute")
        if row.type == "dispute.requested.v1"
    }
    for service in SPEAKING:
        for row in played.rows(service):
            if not row.type.endswith(("rejected.v1", "freeze_refused.v1")):
                continue
            data = json.loads(row.data or b"{}")
            details = data["details"] or {}
            when = received[row.stream_id, data["dispute_id"]] if "freeze" in row.type else at(row.time)
            if data["code"] == "too_late" and when <= datetime.fromisoformat(details["lost_at"]):
                yield f"{row.type} of {row.stream_id}: too late at {when}, lost at {details}"
            if "available_at" in details and when >= datetime.fromisoformat(details["available_at"]):
                yield f"{row.type} of {row.stream_id}: too early at {when}, available at {details}"


def nobody_gets_more_than_he_claimed(played: "Played") -> Iterator[str]:
    """What is offered and what is settled stays within the claim, and all of the disputed lines goes somewhere."""
    frozen: dict[tuple[str | None, str], tuple[int, int]] = {}
    for row in played.rows("order"):
        if row.type == "order.lines_frozen.v1":
            data = json.loads(row.data or b"{}")
            money = data["claimed_minor"], sum(line["amount_minor"] for line in data["lines"])
            frozen[row.stream_id, data["dispute_id"]] = money
    for service in QUARRELLING:
        for row, data in played.told(service):
            match row.type.partition(".")[2]:
                case "offer_made.v1" | "offer_accepted.v1" | "decided.v1":
                    claimed, _ = frozen[row.stream_id, data["dispute_id"]]
                    if (refund := data.get("terms", data).get("refund_minor", 0)) > claimed:
                        yield f"{row.type} of {row.stream_id}: {refund}, claimed were {claimed}"
                case "closed.v1":
                    claimed, worth = frozen.get((row.stream_id, data["dispute_id"]), (0, 0))
                    refund, release = data["refund_minor"], data["release_minor"]
                    if refund > claimed or refund + release != worth * data["final"]:
                        yield f"{row.type} of {row.stream_id}: {refund} and {release}, {claimed} claimed of {worth}"


CHECKS: tuple[Callable[["Played"], Iterator[str]], ...] = (
    what_is_final_stays_final,
    the_last_round_decides,
    what_was_decided_stands,
    what_is_accepted_stood_last,
    nobody_acts_for_another,
    who_is_too_late_or_too_early_is,
    nobody_gets_more_than_he_claimed,
)
