"""One order: all that lies of it, arranged for those who judge it, and the words for what they find."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.verify.facts import ALARMS, COMMAND_TOPICS, LATER, LEDGER, UNREADABLE, Fact
from deploy.verify.purse import Purse
from deploy.verify.report import Report, Violation, money


@dataclass(frozen=True)
class Moment:
    """When it was looked; milliseconds."""

    ends_at: int
    """The ends of all logs were taken: what lies beyond was not read."""
    alarms_at: int
    """The pending alarms were read."""
    grace: int
    """So long what follows from a record may be on its way."""
    begins: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) -> when its first record was appended, for logs whose beginning is past its retention."""

    @property
    def horizon(self) -> int:
        """What is older may have lain in a topic of commands."""
        return max((at for (topic, _), at in self.begins.items() if topic.endswith(".commands")), default=0)

    def is_late(self, since: int) -> bool:
        """What was to follow should be there."""
        return since <= self.ends_at - self.grace


class Case:
    def __init__(self, order_id: str, facts: Sequence[Fact], moment: Moment, report: Report) -> None:
        self.order_id, self.moment, self.report = order_id, moment, report
        self.purse = Purse()
        lying: defaultdict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            lying[fact.topic].append(fact)
        self.entries = {fact.id: fact for fact in lying.pop(LEDGER, ())}
        self.alarms = {fact.id for fact in lying.pop(ALARMS, ())}
        self.later = {fact.id for fact in lying.pop(LATER, ())}
        self.commands = [fact for topic in COMMAND_TOPICS for fact in lying[topic]]
        self._of = {
            topic: list(self._once(same)) if same and same[0].trusted else same for topic, same in lying.items()
        }

    def of(self, topic: str) -> list[Fact]:
        """What lies in a topic that outsiders cannot write, each event once; what lies in another as it lies there."""
        return self._of.get(topic, [])

    def _once(self, lying: Iterable[Fact]) -> Iterator[Fact]:
        """Says what is wrong with an event as it lies there."""
        known: dict[str, Fact] = {}
        for fact in lying:
            first = known.setdefault(fact.id, fact)
            if first is fact:
                if not fact.of_its_shard:
                    source = fact.source or "nobody"
                    self.violated("S4", f"{fact} was not written by its shard but, it says, by {source}", fact)
                if fact.type == UNREADABLE:
                    self.violated("S4", f"{fact} is not what its schema says", fact)
                yield fact
            elif (fact.source, fact.sequence, fact.digest) != (first.source, first.sequence, first.digest):
                self.violated("S4", f"one id, two events: {fact} is there with another content at {first.place}", fact)

    def said_by(self, service: str) -> list[Fact]:
        return self.of(f"{service}.events")

    def caused(self) -> Iterator[Fact]:
        """All that is numbered by a shard and was caused by something, but for the alarms."""
        for topic, lying in self._of.items():
            if topic != "timer.commands":
                yield from (fact for fact in lying if fact.cause and fact.sequence is not None)

    def is_parked(self, service: str) -> bool:
        """Its handling raised there, and nothing was said of it since."""
        letters = [fact for fact in self.of(f"{service}.dead-letters") if fact.data["reason"] == "parked"]
        last = max((fact.sequence or 0 for fact in letters), default=None)
        return last is not None and all((fact.sequence or 0) < last for fact in self.said_by(service))

    def violated(self, promise: str, sentence: str, at: Fact | None = None) -> None:
        self.report.violated(promise, Violation(self.order_id, sentence, at.place if at else ""))

    def missing(self, promise: str, since: Fact, sentence: str) -> None:
        """Something should have followed from `since`: a violation, or still in flight."""
        if self.moment.is_late(since.at):
            self.violated(promise, sentence, since)
        else:
            self.report.in_flight[promise] += 1

    def money(self, minor: int) -> str:
        return money(minor, self.purse.currency)
