"""The ledger has what was said, entry by entry (M3), and with it what the order service says of the money (M1)."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from deploy.verify.checks.movements import (
    CAPTURED,
    DONE,
    EXCESS_BACK,
    IN_PART,
    REVERSED,
    TOO_MUCH,
    totals_by_leg,
)
from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation

COMMISSION, EXCESS = "platform:commission", "platform:excess"
TAKEN, RETURNED = "refund.commission_taken.v1", "refund.commission_returned.v1"
BY_THE_ORDER = (CAPTURED, TAKEN, RETURNED)
"""Entries that are compared with what the order service said: commission is told by no event of the refund service, and
a capture of an earlier version was not."""
BACK = (REVERSED, EXCESS_BACK)
BOOKED = DONE | dict.fromkeys((IN_PART, TOO_MUCH, *BACK), "amount_minor")

Postings = set[tuple[int, str, int]]
"""(side, account, amount in minor units)"""


def check(history: OrderHistory) -> Iterator[Violation]:
    said = {one.id: one for one in history.said_by("refund") if one.type in BOOKED}
    for id_, one in said.items():
        minor = one.data[BOOKED[one.type]]
        if id_ not in history.entries:
            yield history.violated("M3", f"{one} over {history.money(minor)} is not in the ledger", one)
        else:
            yield from _is_as_said(history, history.entries[id_], one.type, _pair(one, minor))
    unsaid = [entry for entry in history.entries.values() if entry.type not in BY_THE_ORDER and entry.id not in said]
    for entry in unsaid:
        if entry.id not in history.later:
            yield history.missing("M3", entry, f"{entry} books {_shown(history, entry)}, but no event says so")
    yield from _is_captured(history)
    yield from _is_shared(history)
    if not unsaid:  # or the ledger is ahead of what was read
        yield from _adds_up(history)


def _pair(one: Observation, minor: int) -> Postings:
    data = one.data
    ours = EXCESS if one.type in (TOO_MUCH, EXCESS_BACK) else f"escrow:{one.order_id}"
    if "party_id" in data:
        person = f"{'buyer' if data['leg'] == 'refund' else 'seller'}:{data['party_id']}"
    else:
        person = f"buyer:{data['buyer_id']}" if "buyer_id" in data else f"seller:{data['seller_id']}"
    comes_in = (data["leg"] == "chargeback") != (one.type in BACK)
    from_, to = (person, ours) if comes_in else (ours, person)
    return {(-1, from_, -minor), (1, to, minor)}


def _is_captured(history: OrderHistory) -> Iterator[Violation]:
    """What the buyer paid is booked once, and is what the order was placed with."""
    placed = next((one for one in history.said_by("order") if one.type == "order.placed.v1"), None)
    captures = [entry for entry in history.entries.values() if entry.type == CAPTURED]
    minor = history.balance.captured
    if placed is not None and placed.data.get("status") == "awaiting_payment":
        minor = placed.data["payment"]["amount_minor"]
    for entry in captures:
        if placed is None:
            sentence = f"{entry} books {_shown(history, entry)}, but the order was never placed"
            yield history.missing("M3", entry, sentence)
            continue
        payers = (account for side, account, _ in entry.data["postings"] if side == -1 and account.startswith("buyer:"))
        pair = {(-1, next(payers, "buyer:"), -minor), (1, f"escrow:{history.order_id}", minor)}
        yield from _is_as_said(history, entry, CAPTURED, pair)
    captured = f"{history.money(minor)} captured"
    if len(captures) > 1:
        yield history.violated("M1", f"{captured}, and booked {len(captures)} times", captures[-1])
    elif placed is not None and not captures and history.balance.captured:
        yield history.missing("M1", placed, f"{captured}, and never booked", "refund")


def _is_shared(history: OrderHistory) -> Iterator[Violation]:
    """The platform's part of each release is booked, once, and given back with what is refunded later (R69)."""
    escrow = f"escrow:{history.order_id}"
    wanted: dict[tuple[str, int], list[Observation]] = defaultdict(list)
    for one in history.said_by("order"):
        for type_, name in ((TAKEN, "commission_minor"), (RETURNED, "commission_returned_minor")):
            if one.type != "order.completed.v1" and (minor := one.data.get(name, 0)):
                wanted[type_, minor].append(one)
    for entry in (one for one in history.entries.values() if one.type in (TAKEN, RETURNED)):
        minor = max(minor for _, _, minor in entry.data["postings"])
        from_, to = (escrow, COMMISSION) if entry.type == TAKEN else (COMMISSION, escrow)
        yield from _is_as_said(history, entry, entry.type, {(-1, from_, -minor), (1, to, minor)})
        if not wanted[entry.type, minor]:
            sentence = f"{entry} books {_shown(history, entry)}, but the order service asked for no such commission"
            yield history.missing("M3", entry, sentence)
        else:
            wanted[entry.type, minor].pop(0)
    for (_, minor), asked in wanted.items():
        for one in asked:
            yield history.missing("M1", one, f"commission {history.money(minor)} of {one} is not booked", "refund")


def _is_as_said(history: OrderHistory, entry: Observation, type_: str, expected: Postings) -> Iterator[Violation]:
    postings = [(side, account, minor) for side, account, minor in entry.data["postings"]]
    books = f"{entry} books {_shown(history, entry)}"
    if total := sum(minor for _, _, minor in postings):
        sentence = f"{entry} sums to {history.money(total)}: {_shown(history, entry)}"
        yield history.violated("M3", sentence, entry)
    elif set(postings) != expected or len(postings) != len(expected):
        should = ", ".join(f"{account} {history.money(minor)}" for _, account, minor in sorted(expected))
        yield history.violated("M3", f"{books}; what was said is {should}", entry)
    elif entry.type != type_:
        yield history.violated("M3", f"{books}; what was said is {type_}", entry)
    elif entry.data["currency"] != history.balance.currency:
        sentence = f"{entry} books {entry.data['currency']}, the order is in {history.balance.currency}"
        yield history.violated("M3", sentence, entry)


def _shown(history: OrderHistory, entry: Observation) -> str:
    return ", ".join(f"{account} {history.money(minor)}" for _, account, minor in entry.data["postings"]) or "nothing"


def sums(history: OrderHistory) -> Counter[str]:
    """What is booked, in escrow, with buyers and with sellers, the platform's commission and what it has advanced, in
    minor units."""
    sums: Counter[str] = Counter()
    for entry in history.entries.values():
        for side, account, minor in entry.data["postings"]:
            if entry.type == CAPTURED and side == -1 and account.startswith("buyer:"):
                sums["booked"] -= minor
            else:
                sums["excess" if account == EXCESS else account.partition(":")[0]] += minor
    return sums


def _adds_up(history: OrderHistory) -> Iterator[Violation]:
    """What is in escrow is unshipped, held, disputed or on its way."""
    books = sums(history)
    if books["booked"] != history.balance.captured:
        return  # said above
    movements = history.movements
    ends = [movements.end_of(key) for key in movements.asked]
    anew = {key: one for key, one in movements.done.items() if "~" in key and one not in ends}
    under_way = totals_by_leg({key: one for key, one in movements.asked.items() if movements.end_of(key) is None})
    under_way.update(movements.returned)
    under_way.subtract(totals_by_leg(anew))
    ended = {turn for key in movements.asked if movements.end_of(key) for turn in movements.turns_of(key)}
    under_way.subtract(totals_by_leg({key: one for key, one in movements.in_part.items() if key not in ended}))
    places = {
        "unshipped": history.balance.unshipped,
        "held": history.balance.held,
        "disputed": history.balance.disputed,
        "on its way": under_way["refund"] + under_way["payout"] - under_way["chargeback"],
        "commission not booked": history.balance.commission - books["platform"],
    }
    if books["escrow"] != sum(places.values()):
        words = " + ".join(f"{name} {history.money(minor)}" for name, minor in places.items())
        sentence = f"the ledger has {history.money(books['escrow'])} in escrow, it should be {words}"
        yield history.violated("M1", sentence)
