"""No order waits for nothing (S3): whatever has not come to its end is moved on by an alarm that is pending, or by a
service whose turn it is, or is parked for a fix; no alarm is overdue, or later than a clock that people were told runs.
What is in an operator's queue is due all the same: it has an alarm.
"""

from collections.abc import Iterator, Mapping, Sequence

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import ALARMED, BELL, Observation, milliseconds
from deploy.verify.report import Violation
from schemas.instants import from_ms, rfc3339, to_ms
from shared.kernel.stream import EARLY_WAKE_UP_DELAY

WITHOUT_CLOCK = ("requested", "in_mediation", "closed")
CASE_OVER = ("decided", "closed")
CLOCKS_TOLD = ("order", "dispute", "mediation")
"""Whose events name the clocks that run (R83)."""


def check(history: OrderHistory) -> Iterator[Violation]:
    yield from _rings_in_time(history)
    for service in CLOCKS_TOLD:
        yield from _rings_for_the_next(history, service)
    waits, disputes, cases = waiting(history), _stand(history, "dispute"), _stand(history, "mediation")
    for service in ALARMED:
        if service in waits:
            yield from _is_armed(history, service, waits[service])
    for dispute_id, last in disputes.items():
        yield from _has_its_turn(history, dispute_id, last, cases.get(dispute_id))
    for part in history.balance.lines.parts:
        said = disputes.get(part.dispute_id)
        if said is not None and said.data["status"] == "closed":
            worth = history.money(part.left)
            sentence = f"line {part.line_id} over {worth} is disputed as {part.dispute_id}, which is closed"
            yield history.missing("S3", said, sentence, "order")
    yield from _is_completed(history)


def waiting(history: OrderHistory) -> Mapping[str, str]:
    """Service -> what waits there for an instant, in words."""
    disputes, cases = _stand(history, "dispute"), _stand(history, "mediation")
    quarrels = [
        f"{id_} is {one.data['status']}" for id_, one in disputes.items() if one.data["status"] not in WITHOUT_CLOCK
    ]
    rounds = [f"{id_} is {one.data['status']}" for id_, one in cases.items() if one.data["status"] not in CASE_OVER]
    moving = [
        f"{key} over {history.money(one.minor)} is on its way" for key, one in history.movements.under_way.items()
    ]
    escrow = {"held": history.balance.held, "to be shipped": history.balance.unshipped}
    held = [f"{history.money(minor)} is {where}" for where, minor in escrow.items() if minor > 0]
    waits = {"order": held, "dispute": quarrels, "mediation": rounds, "refund": moving}
    return {service: ", ".join(what) for service, what in waits.items() if what}


def _stand(history: OrderHistory, service: str) -> dict[str, Observation]:
    """Dispute -> the last that the service said of it."""
    last: dict[str, Observation] = {}
    for one in history.said_by(service):
        if one.data.get("dispute_id") and one.data.get("status") and ".rejected." not in one.type:
            last[one.data["dispute_id"]] = one
    return last


def _ordered(history: OrderHistory) -> Sequence[Observation]:
    """What the order service said of where the order stands."""
    return [one for one in history.said_by("order") if ".rejected." not in one.type and one.data.get("status")]


def _has_its_turn(
    history: OrderHistory, dispute_id: str, last: Observation, case: Observation | None
) -> Iterator[Violation]:
    """States without a deadline of their own: another service must say something."""
    status = last.data["status"]
    if status == "requested":
        answers = [one for one in history.said_by("order") if one.data.get("dispute_id") == dispute_id]
        turn, since = ("dispute", answers[-1]) if answers else ("order", last)
        yield history.missing("S3", since, f"{dispute_id} was requested and neither opened nor refused", turn)
    elif status == "in_mediation" and case is None:
        sentence = f"{dispute_id} was escalated, and mediation never opened a round"
        yield history.missing("S3", last, sentence, "mediation")
    elif status == "in_mediation" and case is not None and case.data["status"] in CASE_OVER:
        since = max(last, case, key=lambda one: one.at)  # a later round may not have been opened yet
        sentence = f"{dispute_id} waits for mediation, where it is over"
        yield history.missing("S3", since, sentence, "dispute", "mediation")


def _is_completed(history: OrderHistory) -> Iterator[Violation]:
    """A shipped order that has nothing left to wait for says so."""
    told = _ordered(history)
    movements = history.movements
    ends = [movements.end_of(key) for key in movements.asked if key.endswith("/refund")]
    refunded_by = [end.told for end in ends if end is not None]
    if (
        told
        and told[-1].data["status"] == "payment_processing"
        and history.balance.disputed == 0
        and not history.balance.waiting
        and len(refunded_by) == len(ends)
    ):
        since = max([told[-1], *refunded_by], key=lambda one: one.at)
        refunded = history.money(history.balance.refunded)
        sentence = f"payment_processing, but the buyer has his {refunded} and nothing is left"
        yield history.missing("S3", since, sentence, "order")


def _rings_in_time(history: OrderHistory) -> Iterator[Violation]:
    """A pending alarm is worth nothing while nobody rings it."""
    snapshot = history.snapshot
    for alarm in history.alarms.values():
        if alarm.at < snapshot.alarms_at - snapshot.grace:
            found = history.violated(
                "S3", f"the alarm {alarm.id} was due at {rfc3339(from_ms(alarm.at))} and has not rung"
            )
            yield found._replace(excuse="parked for a fix") if history.is_parked("timer") else found


def _is_armed(history: OrderHistory, service: str, waits: str) -> Iterator[Violation]:
    timer_id = f"{service}/{history.order_id}"
    if timer_id not in history.alarms:
        yield _unarmed(history, service, f"no alarm {timer_id} is pending, and {waits}")


def _rings_for_the_next(history: OrderHistory, service: str) -> Iterator[Violation]:
    """It may be earlier than the next clock, for none is cancelled; later only by what a bell that came early puts it
    off (R0). What is due by now may be over."""
    alarm = history.alarms.get(f"{service}/{history.order_id}")
    told = _ordered(history)[-1:] if service == "order" else _stand(history, service).values()
    clocks = [(milliseconds(one["at"]), one["name"]) for last in told for one in last.data.get("deadlines") or ()]
    to_come = [(at, name) for at, name in clocks if at is not None and not history.snapshot.is_due(at)]
    next_at, name = min(to_come, default=(0, ""))
    rang_at = max((one.at for one in _bells(history, service)), default=0)
    put_off = to_ms(from_ms(rang_at) + EARLY_WAKE_UP_DELAY)
    if alarm is not None and to_come and alarm.at > max(next_at, put_off):
        instants = [rfc3339(from_ms(at)) for at in (alarm.at, next_at)]
        sentence = f"the alarm {alarm.id} rings at {instants[0]}, and {name} is told to end at {instants[1]}"
        yield _unarmed(history, service, sentence)


def _bells(history: OrderHistory, service: str) -> list[Observation]:
    return [one for one in history.of(f"{service}.commands") if one.type == BELL]


def _unarmed(history: OrderHistory, service: str, sentence: str) -> Violation:
    timer_id = f"{service}/{history.order_id}"
    asked = [one for one in history.of("timer.commands") if one.data.get("timer_id") == timer_id]
    last = max([*history.said_by(service), *_bells(history, service), *asked], key=lambda one: one.at)
    found = history.missing("S3", last, sentence, service, "timer")
    # An alarm that rang after the ends were taken is no longer pending, and what it led to was not read.
    due = [at for one in asked if (at := milliseconds(one.data.get("due_at"))) is not None]
    rang_at = max((at for at in due if at <= history.snapshot.alarms_at), default=0)
    return found if history.snapshot.is_late(rang_at) else found._replace(excuse="in flight")
