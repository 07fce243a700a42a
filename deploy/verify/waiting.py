"""No order waits for nothing (S3): whatever has not come to its end is moved on by an alarm that is pending, or by a
service whose turn it is, or is parked for a fix. What is in an operator's queue is due all the same: it has an alarm.
"""

from collections.abc import Iterator
from datetime import datetime

from deploy.verify.case import Case
from deploy.verify.facts import ALARMED, Fact
from deploy.verify.movements import Movements
from schemas.instants import EPOCH

WITHOUT_CLOCK = ("requested", "in_mediation", "closed")
CASE_OVER = ("decided", "closed")


def judge(case: Case, movements: Movements) -> None:
    disputes, mediations = _stand(case, "dispute"), _stand(case, "mediation")
    waits = {
        "order": case.purse.held > 0,
        "dispute": any(last.data["status"] not in WITHOUT_CLOCK for last in disputes.values()),
        "mediation": any(last.data["status"] not in CASE_OVER for last in mediations.values()),
        "refund": bool(movements.requested.keys() - movements.done.keys()),
    }
    open_ = any(waits.values()) or case.purse.disputed > 0
    case.report.checked["S3"] += open_
    for service in ALARMED:
        if waits[service]:
            _is_armed(case, service, movements)
    for dispute_id, last in disputes.items():
        _has_its_turn(case, dispute_id, last, mediations.get(dispute_id))
    for line, dispute_id in case.purse.frozen.items():
        last_said = disputes.get(dispute_id)
        if last_said is not None and last_said.data["status"] == "closed":
            worth = case.money(case.purse.lines.get(line, 0))
            _is_late(case, "order", last_said, f"line {line} over {worth} is disputed as {dispute_id}, which is closed")
    _is_completed(case, movements)


def _stand(case: Case, service: str) -> dict[str, Fact]:
    """Dispute -> the last that the service said of it."""
    last: dict[str, Fact] = {}
    for fact in case.said_by(service):
        if fact.data.get("dispute_id") and fact.data.get("status") and ".rejected." not in fact.type:
            last[fact.data["dispute_id"]] = fact
    return last


def _has_its_turn(case: Case, dispute_id: str, last: Fact, mediation: Fact | None) -> None:
    """States without a deadline of their own: another service must say something."""
    status = last.data["status"]
    if status == "requested":
        answers = [fact for fact in case.said_by("order") if fact.data.get("dispute_id") == dispute_id]
        turn, since = ("dispute", answers[-1]) if answers else ("order", last)
        _is_late(case, turn, since, f"{dispute_id} was requested and neither opened nor refused")
    elif status == "in_mediation" and mediation is None:
        _is_late(case, "mediation", last, f"{dispute_id} was escalated, and mediation never opened a round")
    elif status == "in_mediation" and mediation is not None and mediation.data["status"] in CASE_OVER:
        since = max(last, mediation, key=lambda fact: fact.at)  # a later round may not have been opened yet
        _is_late(case, "dispute", since, f"{dispute_id} waits for mediation, where it is over")


def _is_completed(case: Case, movements: Movements) -> None:
    """A shipped order that has nothing left to wait for says so."""
    told = [fact for fact in case.said_by("order") if ".rejected." not in fact.type and fact.data.get("status")]
    refunds = {key for key in movements.asked if key.endswith("/refund")}
    if (
        told
        and told[-1].data["status"] == "payment_processing"
        and case.purse.held == case.purse.disputed == 0
        and refunds <= movements.done.keys()
    ):
        since = max([told[-1], *(movements.done[key].fact for key in refunds)], key=lambda fact: fact.at)
        refunded = case.money(case.purse.refunded)
        _is_late(case, "order", since, f"payment_processing, but the buyer has his {refunded} and nothing is left")


def _is_armed(case: Case, service: str, movements: Movements) -> None:
    timer_id = f"{service}/{case.order_id}"
    if timer_id in case.alarms:
        return
    touched = _touched(case, service, timer_id)
    # An alarm that rang after the ends were taken is no longer pending, and what it led to was not read.
    rang_at = max((at for at in _due(case, timer_id) if at <= case.moment.alarms_at), default=0)
    last = max(touched, key=lambda fact: fact.at)
    if not case.moment.is_late(rang_at):
        case.report.in_flight["S3"] += 1
        return
    _is_late(case, service, last, f"no alarm {timer_id} is pending, and {_what_waits(case, service, movements)}")


def _touched(case: Case, service: str, timer_id: str) -> Iterator[Fact]:
    yield from case.said_by(service)
    yield from (fact for fact in case.said_by("timer") if fact.data.get("timer_id") == timer_id)


def _due(case: Case, timer_id: str) -> Iterator[int]:
    for fact in case.said_by("timer"):
        if fact.data.get("timer_id") == timer_id and "due_at" in fact.data:
            yield int((datetime.fromisoformat(fact.data["due_at"]) - EPOCH).total_seconds() * 1000)


def _what_waits(case: Case, service: str, movements: Movements) -> str:
    if service == "order":
        return f"{case.money(case.purse.held)} is held"
    if service == "refund":
        under_way = (key for key in movements.requested if key not in movements.done)
        return ", ".join(f"{key} over {case.money(movements.requested[key].minor)} is on its way" for key in under_way)
    stands = {dispute_id: last.data["status"] for dispute_id, last in _stand(case, service).items()}
    return ", ".join(f"{dispute_id} is {status}" for dispute_id, status in stands.items())


def _is_late(case: Case, service: str, since: Fact, sentence: str) -> None:
    """The service should have done something by now, unless the order is parked there."""
    if case.is_parked(service):
        case.report.parked["S3"] += 1
    else:
        case.missing("S3", since, sentence)
