"""What a dispute came to stays so (D1): the last word is the last, and it is the last round's; and nobody gets more by
it than was claimed (M2)."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation

QUARRELLING = ("dispute", "mediation")
NO_HISTORY = (".rejected.v1", ".resumed.v1")


def check(history: OrderHistory) -> Iterator[Violation]:
    yield from _what_is_final_stays_final(history)
    yield from _the_last_round_decides(history)
    yield from _what_was_decided_stands(history)
    yield from _what_is_accepted_stood_last(history)
    yield from _a_number_names_one_offer(history)
    yield from _nobody_gets_more_than_he_claimed(history)


def told(history: OrderHistory, service: str) -> Iterator[tuple[Observation, str, str]]:
    """(event, its name, its dispute) of the history of disputes, in order."""
    for one in history.said_by(service):
        if one.data.get("dispute_id") and not one.type.endswith(NO_HISTORY):
            yield one, one.type.split(".")[1], one.data["dispute_id"]


def _what_is_final_stays_final(history: OrderHistory) -> Iterator[Violation]:
    """Closed is closed, one appeal, and what was agreed is what comes of it."""
    closed: set[str] = set()
    appealed: set[str] = set()
    agreed: dict[str, int] = {}
    for one, name, dispute in told(history, "dispute"):
        if dispute in closed:
            yield history.violated("D1", f"{dispute} was closed, then came {one}", one)
        match name:
            case "closed":
                closed.add(dispute)
                if one.data["outcome"] == "offer_accepted" and one.data["refund_minor"] != agreed.get(dispute):
                    refunded, wanted = history.money(one.data["refund_minor"]), history.money(agreed.get(dispute, 0))
                    yield history.violated("D1", f"{dispute} was settled on {refunded}, agreed were {wanted}", one)
            case "offer_accepted":
                agreed[dispute] = one.data["terms"]["refund_minor"]
            case "appealed":
                if dispute in appealed:
                    yield history.violated("D1", f"{dispute} was appealed twice", one)
                appealed.add(dispute)


def _the_last_round_decides(history: OrderHistory) -> Iterator[Violation]:
    """An appeal is heard by somebody else, for want of time the first decision stands, and a question is answered
    once."""
    rulings: defaultdict[str, list[tuple[str | None, int]]] = defaultdict(list)
    answered: set[tuple[str, str]] = set()
    appeals = {(dispute, one.data["round"]) for one, name, dispute in told(history, "dispute") if name == "appealed"}
    for one, name, dispute in told(history, "mediation"):
        before = rulings[dispute][-1] if rulings[dispute] and (dispute, one.data.get("round")) in appeals else None
        match name:
            case "opened" | "assigned" if before is not None and one.data.get("mediator") is not None:
                if one.data["mediator"] == before[0]:
                    yield history.violated("D1", f"{dispute}: {before[0]} hears the appeal against himself", one)
            case "decided" | "defaulted":
                minor = one.data["refund_minor"]
                if before is not None and one.data.get("cause") == "mediation_max" and minor != before[1]:
                    stood, is_ = history.money(before[1]), history.money(minor)
                    yield history.violated("D1", f"{dispute}: {stood} stood, for want of time it is {is_}", one)
                rulings[dispute].append((one.data.get("mediator_id"), minor))
            case "answered":
                answer = one.data["question_id"], one.data["by"]
                if answer in answered:
                    yield history.violated("D1", f"{dispute}: {answer[1]} answers {answer[0]} again", one)
                answered.add(answer)


def _what_was_decided_stands(history: OrderHistory) -> Iterator[Violation]:
    """It is the last round's, and neither giving up nor one party alone undoes it."""
    rounds: dict[str, int] = {}
    waived: dict[str, dict[str, str]] = {}
    """Of what was decided: command -> who waived his appeal by it."""
    for one, name, dispute in told(history, "dispute"):
        match name:
            case "escalated" | "appealed":
                rounds[dispute] = one.data["round"]
            case "decided":
                waived[dispute] = {}
                if one.data["round"] != rounds.get(dispute):
                    sentence = f"{dispute} is in round {rounds.get(dispute)}, decided is {one.data['round']}"
                    yield history.violated("D1", sentence, one)
            case "appeal_waived":
                waived.setdefault(dispute, {})[one.cause] = one.data["by"]
            case "closed" | "return_awaited" if dispute in waived:
                if not one.data.get("final", True):
                    yield history.violated("D1", f"{dispute} was decided, and comes back", one)
                if one.cause in waived[dispute] and len(waived[dispute]) < 2:
                    sentence = f"{dispute}: the {waived[dispute][one.cause]} alone waived the appeal of both"
                    yield history.violated("D1", sentence, one)


def _what_is_accepted_stood_last(history: OrderHistory) -> Iterator[Violation]:
    """Who accepts gets what he named, which the other side offered last, and not what he said no thanks to. Of offers
    in mediation the dispute hears when they are accepted."""
    for service in QUARRELLING:
        newest: dict[tuple[str, str], int] = {}
        declined: set[tuple[str, int]] = set()
        for one, name, dispute in told(history, service):
            match name:
                case "offer_made":
                    newest[dispute, one.data["by"]] = one.data["offer_id"]
                case "offer_declined":
                    declined.add((dispute, one.data["offer_id"]))
                case "offer_accepted":
                    offer = one.data["offer_id"]
                    last = newest.get((dispute, "seller" if one.data["by"] == "buyer" else "buyer"), offer)
                    if offer < last or (dispute, last) in declined:
                        sentence = f"{dispute}: offer {offer} was accepted, {last} stood, or was declined"
                        yield history.violated("D1", sentence, one)
                    command = next(iter(history.given.get((f"{service}.commands", one.partition, one.cause), ())), None)
                    if command is not None and (meant := command.data.get("offer_id", offer)) != offer:
                        yield history.violated("D1", f"{dispute}: offer {meant} was meant, {offer} accepted", one)


def _a_number_names_one_offer(history: OrderHistory) -> Iterator[Violation]:
    """For ever, whoever names it. What an older version carried into mediation, which did not say yet whether anything
    was received, may have another's number."""
    known: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {}
    for service in QUARRELLING:
        for one, name, dispute in told(history, service):
            match name:
                case "opened" | "escalated" if "offers" in one.data:
                    carried = one.data["offers"] if one.data.get("received") is not None else ()
                    offers = [(offer["offer_id"], offer["by"], offer["terms"]) for offer in carried]
                case "opened":
                    offers = [(one.data["offer_id"], "buyer", one.data["terms"])]
                case "offer_made":
                    offers = [(one.data["offer_id"], one.data["by"], one.data["terms"])]
                case _:
                    offers = []
            for number, by, terms in offers:
                first = known.setdefault((dispute, number), (by, terms))
                if first != (by, terms):
                    is_, was = ((side, what["refund_minor"]) for side, what in ((by, terms), first))
                    sentence = f"{dispute}: offer {number} is the {is_[0]}'s over {history.money(is_[1])}"
                    yield history.violated(
                        "D1", f"{sentence}, and was the {was[0]}'s over {history.money(was[1])}", one
                    )


def _nobody_gets_more_than_he_claimed(history: OrderHistory) -> Iterator[Violation]:
    """What is offered and what is settled stays within the claim, and all of the disputed lines goes somewhere."""
    frozen = {
        one.data["dispute_id"]: (one.data["claimed_minor"], sum(line["amount_minor"] for line in one.data["lines"]))
        for one in history.said_by("order")
        if one.type == "order.lines_frozen.v1"
    }
    for service in QUARRELLING:
        for one, name, dispute in told(history, service):
            if name not in ("offer_made", "offer_accepted", "decided", "closed"):
                continue
            claimed, worth = frozen.get(dispute, (0, 0))
            refund = one.data.get("terms", one.data).get("refund_minor", 0)
            if refund > claimed:
                sentence = f"{dispute}: {history.money(refund)} by {one}, claimed were {history.money(claimed)}"
                yield history.missing("M2", one, sentence)
            if name == "closed" and (whole := refund + one.data["release_minor"]) != worth * one.data["final"]:
                sentence = f"{dispute} over {history.money(worth)} is closed with {history.money(whole)}"
                yield history.missing("M2", one, sentence)
