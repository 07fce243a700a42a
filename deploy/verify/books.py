"""The ledger has what was said, entry by entry (M3), and with it what the order service says of the money (M1)."""

from collections import Counter

from deploy.verify.case import Case
from deploy.verify.facts import Fact
from deploy.verify.movements import DONE, Movements, totals_by_leg

CAPTURED = "refund.captured.v1"

Postings = set[tuple[int, str, int]]
"""(side, account, amount in minor units)"""


def judge(case: Case, movements: Movements) -> None:
    said = {fact.id: fact for fact in case.said_by("refund") if fact.type in DONE}
    for id_, fact in said.items():
        minor = fact.data[DONE[fact.type]]
        if id_ not in case.entries:
            case.violated("M3", f"{fact} over {case.money(minor)} is not in the ledger", fact)
        else:
            _is_as_said(case, case.entries[id_], fact.type, _pair(fact, minor))
    unsaid = [entry for entry in case.entries.values() if entry.type != CAPTURED and entry.id not in said]
    for entry in unsaid:
        if entry.id not in case.later:
            case.missing("M3", entry, f"{entry} books {_shown(case, entry)}, but no event says so")
    _is_captured(case)
    _add_up(case, movements, complete=not unsaid)
    case.report.counts["entries"] += len(case.entries)
    case.report.checked["M3"] += len(case.entries)


def _pair(fact: Fact, minor: int) -> Postings:
    escrow = f"escrow:{fact.order_id}"
    person = f"buyer:{fact.data['buyer_id']}" if "buyer_id" in fact.data else f"seller:{fact.data['seller_id']}"
    from_, to = (person, escrow) if fact.type == "refund.charged_back.v1" else (escrow, person)
    return {(-1, from_, -minor), (1, to, minor)}


def _is_captured(case: Case) -> None:
    """What the buyer paid is booked once, by an entry that no published event tells of."""
    placed = next((fact for fact in case.said_by("order") if fact.type == "order.placed.v1"), None)
    captures = [entry for entry in case.entries.values() if entry.type == CAPTURED]
    for entry in captures:
        if placed is None:
            case.missing("M3", entry, f"{entry} books {_shown(case, entry)}, but the order was never placed")
            continue
        payers = (account for side, account, _ in entry.data["postings"] if side == -1 and account.startswith("buyer:"))
        minor = case.purse.captured
        pair = {(-1, next(payers, "buyer:"), -minor), (1, f"escrow:{case.order_id}", minor)}
        _is_as_said(case, entry, CAPTURED, pair)
    captured = f"{case.money(case.purse.captured)} captured"
    if len(captures) > 1:
        case.violated("M1", f"{captured}, and booked {len(captures)} times", captures[-1])
    elif placed is not None and not captures and case.is_parked("refund"):
        case.report.parked["M1"] += 1
    elif placed is not None and not captures:
        case.missing("M1", placed, f"{captured}, and never booked")


def _is_as_said(case: Case, entry: Fact, type_: str, expected: Postings) -> None:
    postings = [(side, account, minor) for side, account, minor in entry.data["postings"]]
    if total := sum(minor for _, _, minor in postings):
        case.violated("M3", f"{entry} sums to {case.money(total)}: {_shown(case, entry)}", entry)
    elif set(postings) != expected or len(postings) != len(expected):
        should = ", ".join(f"{account} {case.money(minor)}" for _, account, minor in sorted(expected))
        case.violated("M3", f"{entry} books {_shown(case, entry)}; what was said is {should}", entry)
    elif entry.type != type_:
        case.violated("M3", f"{entry} books {_shown(case, entry)}; what was said is {type_}", entry)
    elif entry.data["currency"] != case.purse.currency:
        case.violated("M3", f"{entry} books {entry.data['currency']}, the order is in {case.purse.currency}", entry)


def _shown(case: Case, entry: Fact) -> str:
    return ", ".join(f"{account} {case.money(minor)}" for _, account, minor in entry.data["postings"]) or "nothing"


def _add_up(case: Case, movements: Movements, complete: bool) -> None:
    """What is in escrow is held, disputed or on its way. Not `complete`: the ledger is ahead of what was read."""
    books: Counter[str] = Counter()
    for entry in case.entries.values():
        for side, account, minor in entry.data["postings"]:
            if side == -1 and account.startswith("buyer:"):
                books["booked"] -= minor
            else:
                books[account.partition(":")[0]] += minor
    _sum_up(case, books)
    if not complete or books["booked"] != case.purse.captured:
        return  # said above
    under_way = totals_by_leg({key: step for key, step in movements.asked.items() if key not in movements.done})
    places = {
        "held": case.purse.held,
        "disputed": case.purse.disputed,
        "on its way": under_way["refund"] + under_way["payout"] - under_way["chargeback"],
    }
    if books["escrow"] != sum(places.values()):
        words = " + ".join(f"{name} {case.money(minor)}" for name, minor in places.items())
        case.violated("M1", f"the ledger has {case.money(books['escrow'])} in escrow, it should be {words}")


def _sum_up(case: Case, books: Counter[str]) -> None:
    """For the report."""
    currency = case.purse.currency or next((str(entry.data["currency"]) for entry in case.entries.values()), "")
    if not currency:
        return
    sums = case.report.money[currency]
    for name in ("captured", "held", "disputed", "released", "refunded"):
        sums[name] += getattr(case.purse, name)
    for name, kind in {"booked": "booked", "escrow": "escrow", "paid_out": "seller", "paid_back": "buyer"}.items():
        sums[name] += books[kind]
