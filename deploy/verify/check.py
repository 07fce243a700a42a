"""From observations to a report; nothing here asks for anything."""

from collections.abc import Iterable, Iterator, Sequence

from deploy.verify.checks import (
    answers,
    calls,
    disputes,
    ledger,
    letters,
    liveness,
    money,
    people,
    reminders,
    rights,
    sequences,
)
from deploy.verify.checks.order_history import OrderHistory, Snapshot
from deploy.verify.observation import UNREADABLE, Observation
from deploy.verify.report import Report

CHECKS = (sequences, money, calls, ledger, answers, rights, disputes, letters, people, reminders, liveness)


def check(
    by_order: Iterable[tuple[str, Sequence[Observation]]],
    by_source: Iterable[tuple[str, Iterable[Observation]]],
    by_payment: Iterable[tuple[str, Iterable[Observation]]],
    snapshot: Snapshot,
    report: Report,
) -> None:
    """`by_order`: all of one order, each log's in its order. `by_source`: what each shard wrote, by its numbers.
    `by_payment`: the orders placed on each."""
    for order_id, observations in by_order:
        history = OrderHistory(order_id, observations, snapshot)
        for one in CHECKS:
            report.add(one.check(history))
        _count(history, report)
    for source, written in by_source:
        report.add(sequences.check_shard(source, _counted(written, report), snapshot))
    for payment_id, placed in by_payment:
        report.add(money.check_payment(payment_id, placed))
    report.add(sequences.check_beginnings(snapshot))
    report.checked["E3"] = len(set(snapshot.erased.values()))


def _counted(written: Iterable[Observation], report: Report) -> Iterator[Observation]:
    latest: int | None = None
    for one in written:
        if one.trusted:
            report.checked["S4"] += 1
            report.counts["repeats" if one.sequence == latest else "events"] += 1
            latest = one.sequence
        yield one


def _count(history: OrderHistory, report: Report) -> None:
    """How much there was to check."""
    balance, books = history.balance, ledger.sums(history)
    commands = len(history.given) + sum(one.type == UNREADABLE for one in history.commands)
    done, entries = len(history.movements.done), len(history.entries)
    for problem in letters.given_up(history):
        report.given_up[problem] += 1
    report.counts.update(orders=balance.captured > 0, commands=commands, movements=done, entries=entries)
    report.checked.update(
        M1=len(history.said_by("order")),
        M2=done,
        M3=entries,
        M4=done,
        S1=commands,
        S2=sum(1 for _ in rights.refusals(history)),
        S3=bool(liveness.waiting(history)) or balance.disputed > 0,
        D1=len({dispute for _, _, dispute in disputes.told(history, "dispute")}),
        D2=sum(1 for _ in rights.acts(history)),
        E1=sum(len(letters.ended_by(one)) for one in history.said_by("notification")),
        E2=sum(1 for _ in reminders.reminded(history)),
    )
    currency = balance.currency or next((str(entry.data["currency"]) for entry in history.entries.values()), "")
    if currency:
        sums = report.money[currency]
        for name in ("captured", "unshipped", "held", "disputed", "released", "refunded"):
            sums[name] += getattr(balance, name)
        for name, kind in {
            "booked": "booked",
            "escrow": "escrow",
            "paid_out": "seller",
            "paid_back": "buyer",
            "commission": "platform",
            "excess": "excess",
        }.items():
            sums[name] += books[kind]
