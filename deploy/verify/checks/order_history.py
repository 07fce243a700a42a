"""One order: all that was observed of it, arranged for those who check it, and the words for what they find."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from deploy.verify.checks.movements import CAPTURED, Movements
from deploy.verify.checks.order_balance import OrderBalance
from deploy.verify.observation import ALARMS, COMMAND_TOPICS, DEAD_LETTER, LATER, LEDGER, UNANSWERED, Observation
from deploy.verify.report import Violation, money
from schemas.topics import KEPT_FOR_EVER


@dataclass(frozen=True)
class Snapshot:
    """When it was looked; milliseconds."""

    ends_at: int
    """The ends of all logs were taken: what lies beyond was not read."""
    alarms_at: int
    """The pending alarms were read."""
    grace: int
    """So long what follows from a record may be on its way; and so far clocks may be apart."""
    begins: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) -> when its first record was appended, for logs whose beginning is past its retention."""

    erased: Mapping[str, str] = field(default_factory=dict)
    """Digest of an address -> whose it was, of those who are erased."""

    @property
    def horizon(self) -> int:
        """What is older may have lain in a topic whose records expire."""
        return max((at for (topic, _), at in self.begins.items() if topic not in KEPT_FOR_EVER), default=0)

    def is_due(self, at: int) -> bool:
        """It may have happened when the alarms were read."""
        return at <= self.alarms_at + self.grace

    def is_late(self, since: int) -> bool:
        """What was to follow should be there."""
        return since <= self.ends_at - self.grace


class OrderHistory:
    def __init__(self, order_id: str, observations: Iterable[Observation], snapshot: Snapshot) -> None:
        self.order_id, self.snapshot = order_id, snapshot
        lying: defaultdict[str, list[Observation]] = defaultdict(list)
        for one in observations:
            lying[one.topic].append(one)
        self.entries = {one.id: one for one in lying.pop(LEDGER, ())}
        self.alarms = {one.id: one for one in lying.pop(ALARMS, ())}
        self.later = {one.id for one in lying.pop(LATER, ())}
        self.commands = [one for topic in COMMAND_TOPICS for one in lying[topic]]
        self.again: list[tuple[Observation, Observation]] = []
        """What lies there under an id that something had before: (first, again)."""
        known: dict[str, Observation] = {}
        self._of = {
            topic: list(self._once(same, known)) if same and same[0].trusted else same for topic, same in lying.items()
        }

    def _once(self, lying: Iterable[Observation], known: dict[str, Observation]) -> Iterator[Observation]:
        here: dict[tuple[str, int | None], Observation] = {}
        for one in lying:
            # A dead letter is named after its record, which may be set aside again, and by several services.
            is_letter = one.type == DEAD_LETTER
            first = here.setdefault((one.id, one.sequence if is_letter else None), one)
            if first is not one:
                self.again.append((first, one))
                continue
            yield one
            if not is_letter and (elsewhere := known.setdefault(one.id, one)) is not one:
                self.again.append((elsewhere, one))

    def of(self, topic: str) -> Sequence[Observation]:
        """What lies in a topic that outsiders cannot write, each event once; what lies in another as it lies there."""
        return self._of.get(topic, ())

    def said_by(self, service: str) -> Sequence[Observation]:
        return self.of(f"{service}.events")

    def firsts(self) -> Iterator[Observation]:
        """Each event in a topic that outsiders cannot write."""
        yield from (one for lying in self._of.values() if lying and lying[0].trusted for one in lying)

    def caused(self) -> Iterator[Observation]:
        """All that is numbered by a shard and was caused by something, but for the alarms."""
        for topic, lying in self._of.items():
            if topic != "timer.commands":
                yield from (one for one in lying if one.cause and one.sequence is not None)

    @cached_property
    def balance(self) -> OrderBalance:
        """As it stands after all that the order service said."""
        balance = OrderBalance()
        for one in self.said_by("order"):
            balance.follow(one.type, one.data)
        if (late := self.captured_late) is not None:
            balance.captured += late.data["amount_minor"]
            balance.refunded += late.data["amount_minor"]
        return balance

    @cached_property
    def captured_late(self) -> Observation | None:
        """A payment that came when the order was cancelled for want of it: it goes back in full (R61)."""
        unpaid = any(
            one.type == "order.cancelled.v1" and one.data["cause"] == "not_paid" for one in self.said_by("order")
        )
        captures = [one for one in self.said_by("refund") if one.type == CAPTURED]
        return captures[0] if unpaid and captures else None

    @cached_property
    def movements(self) -> Movements:
        return Movements.of(self.said_by("order"), self.said_by("refund"))

    @cached_property
    def given(self) -> Mapping[tuple[str, int, str], Sequence[Observation]]:
        """(inbox, partition, id) -> the commands that came under it, as they lie there."""
        given: defaultdict[tuple[str, int, str], list[Observation]] = defaultdict(list)
        for one in self.commands:
            if one.type not in UNANSWERED:
                given[one.topic, one.partition, one.id].append(one)
        return given

    def is_parked(self, service: str) -> bool:
        """Its handling raised there, and nothing was said of it since."""
        letters = [one for one in self.of(f"{service}.dead-letters") if one.data["reason"] == "parked"]
        last = max((one.sequence or 0 for one in letters), default=None)
        return last is not None and all((one.sequence or 0) < last for one in self.said_by(service))

    def violated(self, promise: str, sentence: str, at: Observation | None = None) -> Violation:
        return Violation(promise, sentence, self.order_id, at.place if at else "")

    def missing(self, promise: str, since: Observation, sentence: str, *turn_of: str) -> Violation:
        """Something should have followed from `since`, and one of these services would have said it."""
        found = self.violated(promise, sentence, since)
        if any(self.is_parked(service) for service in turn_of):
            return found._replace(excuse="parked for a fix")
        return found if self.snapshot.is_late(since.at) else found._replace(excuse="in flight")

    def money(self, minor: int) -> str:
        return money(minor, self.balance.currency)
