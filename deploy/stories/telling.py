"""A story as a person reads it: instant, who, what, and what happens next if nobody does anything."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from deploy.stories.dialogue import PlayedOrder
from deploy.stories.seen import Seen
from shared.rules.policy_lint import LONGEST_DAYS

SILENT = ("timer.", "notification.")
"""The machine's own bookkeeping is no part of a story."""
PENDING = {
    "payment_by": "unpaid it is cancelled",
    "processing_ends_at": "unshipped it is cancelled",
    "rest_ships_by": "what is in no parcel is cancelled",
    "reminder_at": "both are reminded",
    "remind_at": "a word in time to who must act",
    "ends_at": "it is over",
    "seller_answer_by": "the seller must answer",
    "escalates_at": "it goes to mediation",
    "answer_by": "the answer is due",
    "mediator_due_by": "the mediator must act",
    "appeal_until": "the decision stands",
    "return_ship_by": "the goods must be on their way back",
    "return_confirm_by": "the seller must look at the return",
    "replacement_ship_by": "a new parcel must be on its way",
    "replacement_confirm_by": "the replacement counts as accepted",
    "reopenable_until": "until then it may be disputed again",
    "due_by": "the money must have moved",
}
"""Field of an event -> what happens at that instant if nothing does before."""
PROTECTION = ("order.shipped", "order.protection_extended", "order.protection_shortened", "order.lines_unfrozen")
AMOUNTS = ("refund_minor", "release_minor", "amount_minor", "held_minor", "total_minor", "claimed_minor")
PLAIN = ("cause", "outcome", "code", "leg", "to", "clock", "otherwise")


def told(case: PlayedOrder, day: timedelta) -> Iterator[str]:
    """One line for each event of the order, in order of time."""
    return retold(case.seen, day)


def retold(seen: Iterable[Seen], day: timedelta) -> Iterator[str]:
    """The same of events that somebody has read, all or some."""
    events = sorted((event for event in seen if not event.type.startswith(SILENT)), key=lambda event: event.at)
    for event in events:
        at = _days(event.at - events[0].at, day)
        pending = _pending(event, events[0].at, day)
        yield f"  day {at:5.1f}  {_who(event):<10} {phrase(event):<74}{pending}".rstrip()


def _who(event: Seen) -> str:
    """The person whose command it was; time itself, where a deadline passed; else the service that reacted."""
    actor = event.data.get("actor")
    if actor:
        return str(actor["role"])
    return "time" if "/" in event.causation_id else event.type.split(".")[0]


def phrase(event: Seen) -> str:
    """What happened, and over how much."""
    words = [event.type.replace("_", " ").replace(".", ": ", 1)]
    terms: dict[str, Any] = event.data.get("terms") or {}
    if terms:
        words.append(
            terms["kind"].replace("_", " ") + (f" {money(terms['refund_minor'])}" if terms["refund_minor"] else "")
        )
    words += [
        f"{name.removesuffix('_minor')} {money(event.data[name])}"
        for name in AMOUNTS
        if event.data.get(name) is not None
    ]
    words += [str(event.data[name]).replace("_", " ") for name in PLAIN if event.data.get(name)]
    if "seller" not in (event.data.get("visible_to") or ["seller"]):
        words.append("unseen by the seller")
    return ", ".join(words)


def _pending(event: Seen, start: datetime, day: timedelta) -> str:
    """The earliest instant the event names, and what it will bring; where days are seconds, what is no end to wait for
    (a day to be paid in) is not told."""
    named = {text: event.data[name] for name, text in PENDING.items() if event.data.get(name)}
    if event.type in PROTECTION:
        named["held money goes to the seller"] = event.data["protection_ends_at"]
    upcoming = [(datetime.fromisoformat(instant), text) for text, instant in named.items()]
    at, text = min(upcoming, key=lambda one: one[0], default=(start, ""))
    if not text or at - start > day * LONGEST_DAYS:
        return ""
    return f"[day {_days(at - start, day):.1f}: {text}]"


def _days(span: timedelta, day: timedelta) -> float:
    return span / day


def money(minor: int) -> str:
    """Cents as people write them."""
    return f"{minor // 100}.{minor % 100:02}"
