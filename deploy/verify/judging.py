"""From facts to a report; nothing here asks for anything."""

from deploy.verify import answers, books, movements, sequences, waiting
from deploy.verify.case import Case, Moment
from deploy.verify.facts import UNREADABLE
from deploy.verify.report import Report, Violation
from deploy.verify.spool import Spool


def judged(spool: Spool, moment: Moment, report: Report) -> None:
    for order_id, facts in spool.by_order():
        judge_one(Case(order_id, facts, moment, report))
    for source, written in spool.by_source():
        sequences.judge(source, written, moment, report)
    for topic, partition in moment.begins:
        if not topic.endswith(".commands"):
            gone = f"{topic}/{partition} does not begin at its beginning: events are for ever, and its first are gone"
            report.violated("S4", Violation("", gone, ""))


def judge_one(case: Case) -> None:
    _follow(case)
    moved = movements.judge(case)
    books.judge(case, moved)
    answers.judge(case)
    waiting.judge(case, moved)


def _follow(case: Case) -> None:
    """M1 at every step of the order, by its events."""
    for fact in case.said_by("order"):
        if fact.type == UNREADABLE:
            continue
        for wrong in case.purse.hears(fact.type, fact.data, case.money):
            case.violated("M1", wrong, fact)
        case.report.checked["M1"] += 1
    case.report.counts["orders"] += case.purse.captured > 0
