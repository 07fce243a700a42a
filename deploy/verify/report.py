"""What was looked at, what was proved on it, and what was found to be wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from shared.rules.money import in_major_units

PROMISES = {
    "M1": ("captured = unshipped + held + disputed + released + refunded, and so in the ledger", "steps of orders"),
    "M2": ("nothing leaves twice, or unasked", "movements of money"),
    "M3": ("ledger entries are what was said, sum to zero and never change", "entries"),
    "M4": ("the payment provider moved what the ledger says", "movements of money"),
    "S1": ("every command has exactly one answer", "commands"),
    "S2": ("what is refused as too late or too early was", "refusals"),
    "S3": ("no order waits for nothing", "orders that are not at their end"),
    "S4": ("sequences have no gaps, and what is published keeps its order", "records"),
    "D1": ("what is final stays final, and the last word is the last", "disputes"),
    "D2": ("nobody acts for another, or is told what is not for him", "acts of people"),
    "E1": ("a delivery is made once", "deliveries"),
    "E2": ("nobody is reminded of what is over, or twice", "reminders"),
    "E3": ("of who is erased no address is left", "people erased of whom compaction has left one to look for"),
}
"""Promise -> what it says, and on what it is proved."""
KEPT_MAX = 100
"""Violations of one promise that are kept in words; the others are counted."""
SHOWN_MAX = 20
ORDERS = ("unshipped", "held", "disputed", "released", "refunded")
Excuse = Literal["", "in flight", "parked for a fix", "with an operator", "expired"]
"""Why a violation is none: what is missing may come, or is past its retention."""
BOOKS = {"escrow": "in escrow", "paid_out": "paid out", "paid_back": "paid back", "commission": "commission"}
EXCESS = "advanced (too much moved)"


def money(minor: int, currency: str) -> str:
    return f"{in_major_units(minor, currency)} {currency}".rstrip()


class Violation(NamedTuple):
    """`order_id` is empty for what concerns a whole shard, `place` where nothing lies that could be looked at."""

    promise: str
    sentence: str
    order_id: str = ""
    place: str = ""
    excuse: Excuse = ""
    times: int = 1
    """How much is missing."""

    def __str__(self) -> str:
        order = f"{self.order_id}: " if self.order_id else ""
        return f"{order}{self.sentence}{f' [{self.place}]' if self.place else ''}"


@dataclass
class Report:
    counts: Counter[str] = field(default_factory=Counter)
    """orders, events, repeats, commands, movements, entries."""
    money: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Currency -> captured, unshipped, held, disputed, released, refunded by the orders; the rest of BOOKS and the
    excess by the ledger; in minor units."""
    checked: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    """Letters and webhooks that will not be sent any more, by what they failed of."""
    excused: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Excuse -> by promise, what it excuses."""
    found: Counter[str] = field(default_factory=Counter)
    """Violations by promise, all of them."""
    violations: dict[str, list[Violation]] = field(default_factory=lambda: defaultdict(list))
    """The first KEPT_MAX of each promise."""
    seconds: float = 0.0

    def add(self, violations: Iterable[Violation]) -> None:
        for one in violations:
            if one.excuse:
                self.excused[one.excuse][one.promise] += one.times
                continue
            self.found[one.promise] += 1
            if len(self.violations[one.promise]) < KEPT_MAX:
                self.violations[one.promise].append(one)

    @property
    def holds(self) -> bool:
        return not self.found

    def problems(self) -> list[str]:
        return [f"{promise}: {one}" for promise in PROMISES for one in self.violations.get(promise, ())]

    def line(self) -> str:
        """All of it in one line."""
        looked = f"{self._looked()} in {self.seconds:.1f} s"
        if self.holds:
            untold = f"; {self.given_up.total():,} deliveries were given up" if self.given_up else ""
            return f"verified: {', '.join(PROMISES)} hold for {looked}{self._waiting(*PROMISES)}{untold}"
        broken = ", ".join(f"{promise} {self.found[promise]} times" for promise in PROMISES if self.found[promise])
        return f"NOT verified: {broken} violated; {looked}"

    def lines(self, now: datetime) -> Iterator[str]:
        yield f"Verified at {now:%Y-%m-%d %H:%M:%S}Z: {self._looked()}, read and judged in {self.seconds:.1f} s."
        for currency, sums in sorted(self.money.items()):
            places = " + ".join(f"{name} {money(sums[name], currency)}" for name in ORDERS)
            yield f"  by the orders: captured {money(sums['captured'], currency)} = {places}"
            books = BOOKS | ({"excess": EXCESS} if sums["excess"] else {})
            places = " + ".join(f"{words} {money(sums[name], currency)}" for name, words in books.items())
            yield f"  by the ledger: captured {money(sums['booked'], currency)} = {places}"
        if expired := self.excused["expired"]["S4"]:
            yield f"  {expired:,} numbers lay in command topics and are past their retention"
        if self.given_up:
            words = ", ".join(f"{times:,} {problem}" for problem, times in self.given_up.most_common())
            yield f"  deliveries given up, so that somebody was not told: {words} (notification.failed)"
        yield ""
        for promise, (words, of) in PROMISES.items():
            if not self.found[promise]:
                yield f"  {promise}  {words}: holds for {self.checked[promise]:,} {of}{self._waiting(promise)}"
                continue
            yield f"  {promise}  {words}: VIOLATED {self.found[promise]:,} times"
            yield from (f"        {one}" for one in self.violations[promise][:SHOWN_MAX])
            if self.found[promise] > SHOWN_MAX:
                yield f"        and {self.found[promise] - SHOWN_MAX:,} more"

    def _looked(self) -> str:
        names = ("orders", "events", "commands", "movements", "entries")
        words = [f"{self.counts[name]:,} {'ledger ' * (name == 'entries')}{name}" for name in names]
        words[1] += f" ({self.counts['repeats']:,} of them twice)" if self.counts["repeats"] else ""
        return ", ".join(words)

    def _waiting(self, *promises: str) -> str:
        sums = {excuse: sum(by[one] for one in promises) for excuse, by in sorted(self.excused.items())}
        words = [f"{times:,} {excuse}" for excuse, times in sums.items() if times and excuse != "expired"]
        return f" ({', '.join(words)})" if words else ""
