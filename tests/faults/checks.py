"""What must be true of the topics, the books and the mailbox, whatever was killed meanwhile.

Each check takes what lies there and returns what is wrong with it, in sentences; nothing is asked of the services.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import pairwise
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from schemas.topics import SERVICES
from tests.faults.topics import header

SOURCES = tuple(f"recourse/{service}/" for service in SERVICES)
ENDED = ("completed", "cancelled")
UNANSWERED = ("timer.elapsed.v1", "mediation.seat.v1")
"""What lies in an inbox and is no command: a bell, and what a case tells the roster, which answers nobody."""


@dataclass(frozen=True)
class Seen:
    """One record, repeats too."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    source: str
    sequence: int | None
    cause: str
    value: bytes

    @staticmethod
    def of(record: ConsumerRecord) -> "Seen":
        kind = "x-dead-letter-" if record.topic.endswith(".dead-letters") else "ce_"
        sequence = header(record, f"{kind}sequence")
        return Seen(
            record.topic,
            record.partition,
            record.offset,
            (record.key or b"").decode(errors="replace"),
            header(record, "ce_id"),
            header(record, "ce_type"),
            header(record, f"{kind}source"),
            int(sequence) if sequence else None,
            header(record, "ce_causationid"),
            record.value or b"",
        )

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.value))

    @property
    def service(self) -> str:
        return self.topic.partition(".")[0]

    @property
    def ours(self) -> bool:
        """Numbered by a shard of one of the six services."""
        return self.source.startswith(SOURCES) and self.sequence is not None

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset} {self.type} {self.id}"


class Books(NamedTuple):
    """One line of refund.ledger_order."""

    captured_minor: int
    escrow_minor: int
    refunded_minor: int
    paid_out_minor: int


@dataclass
class World:
    """All that is left to look at."""

    paid: Mapping[str, int]
    """order_id -> what its buyer paid, by who sent the commands."""
    records: Sequence[Seen] = ()
    """Of all topics, in order within each partition."""
    books: Mapping[str, Books] = field(default_factory=dict)
    postings_minor: Mapping[str, int] = field(default_factory=dict)
    """entry_id -> sum of its postings."""
    payments: Mapping[str, int] = field(default_factory=dict)
    """payment_key -> what the provider moved."""
    mails: Sequence[EmailMessage] = ()

    def once(self, suffix: str = ".events") -> list[Seen]:
        """Each event of these topics as it was first seen."""
        first: dict[str, Seen] = {}
        for seen in self.records:
            if seen.topic.endswith(suffix):
                first.setdefault(seen.id, seen)
        return list(first.values())


def every_order_ends(world: World) -> list[str]:
    """Completed or cancelled by its own word, and all its money with buyer or seller by the refund service's."""
    status: dict[str, str] = {}
    moved: Counter[str] = Counter()
    for seen in world.once():
        if seen.key not in world.paid:
            continue
        if seen.service == "order" and not seen.type.endswith("rejected.v1"):
            status[seen.key] = seen.data["status"] or status.get(seen.key, "")
        elif seen.type == "refund.settled.v1":
            moved[seen.key] += seen.data["refund_minor"]
        elif seen.type in ("refund.paid_out.v1", "refund.charged_back.v1"):
            moved[seen.key] += seen.data["amount_minor"] * (1 if seen.type == "refund.paid_out.v1" else -1)
    return [
        f"{order_id} is {status.get(order_id, 'unknown')}, {moved[order_id]} of {paid} moved"
        for order_id, paid in world.paid.items()
        if status.get(order_id) not in ENDED or moved[order_id] != paid
    ]


def every_command_has_one_answer(world: World) -> list[str]:
    """What a service says to a command it says in one go: one run of its sequence, and nothing at any other time.

    Command ids are taken to differ between orders. The alarm is left out: a repeated command may set it again.
    """
    answers: defaultdict[tuple[str, str], dict[str, Seen]] = defaultdict(dict)
    for seen in world.records:
        if seen.ours and seen.topic != "timer.commands":
            answers[seen.source.split("/")[1], seen.cause].setdefault(seen.id, seen)
    wrong = []
    for service, id_ in {(seen.service, seen.id): None for seen in world.records if _is_command(seen)}:
        answer = answers[service, id_].values()
        sequences = sorted(seen.sequence or 0 for seen in answer)
        in_one_go = all(later == earlier + 1 for earlier, later in pairwise(sequences))
        if not any(seen.topic == f"{service}.events" for seen in answer):
            wrong.append(f"the {service} service never answered {id_}")
        elif len({seen.source for seen in answer}) > 1 or not in_one_go:
            wrong.append(f"the {service} service answered {id_} more than once: {', '.join(map(str, answer))}")
    return wrong


def _is_command(seen: Seen) -> bool:
    return seen.topic.endswith(".commands") and seen.service in SERVICES and seen.type not in UNANSWERED


def repeats_are_exact(world: World) -> list[str]:
    """The same id never stands over two different things."""
    known: dict[tuple[str, str], Seen] = {}
    wrong = []
    for seen in world.records:
        if seen.ours and seen.id:
            first = known.setdefault((seen.topic, seen.id), seen)
            if (seen.type, seen.source, seen.sequence, seen.value) != (
                first.type,
                first.source,
                first.sequence,
                first.value,
            ):
                wrong.append(f"one id, two events: {first} and {seen}")
    return wrong


def nothing_is_missing(world: World) -> list[str]:
    """Each source's sequence has no gap over all topics together; where it ends nobody can tell from outside."""
    sequences: defaultdict[str, set[int]] = defaultdict(set)
    for seen in world.records:
        if seen.ours:
            sequences[seen.source].add(seen.sequence or 0)
    return [
        f"{source} never said {missing[:10]}"
        for source, said in sorted(sequences.items())
        if (missing := sorted(set(range(1, max(said) + 1)) - said))
    ]


def nothing_is_out_of_order(world: World) -> list[str]:
    """First occurrences in order, per topic, partition and source."""
    highest: Counter[tuple[str, int, str]] = Counter()
    known: set[tuple[str, int, str, int]] = set()
    wrong = []
    for seen in world.records:
        place = seen.topic, seen.partition, seen.source
        if not seen.ours or (occurrence := (*place, seen.sequence or 0)) in known:
            continue
        known.add(occurrence)
        if (seen.sequence or 0) < highest[place]:
            wrong.append(f"{seen} has sequence {seen.sequence}, after {highest[place]} of {seen.source}")
        highest[place] = max(highest[place], seen.sequence or 0)
    return wrong


def nothing_was_set_aside(world: World) -> list[str]:
    """All that was sent could be read and handled."""
    return [f"dead letter: {seen}" for seen in world.records if seen.topic.endswith(".dead-letters")]


def the_books_balance(world: World) -> list[str]:
    """Captured is what was paid, nothing is left in escrow, every entry sums to zero."""
    wrong = [f"entry {entry} sums to {minor}" for entry, minor in world.postings_minor.items() if minor]
    for order_id, paid in world.paid.items():
        books = world.books.get(order_id, Books(0, 0, 0, 0))
        moved = books.refunded_minor + books.paid_out_minor
        if books.captured_minor != paid or books.escrow_minor != 0 or moved != paid:
            wrong.append(f"{order_id} paid {paid}, its books say {books}")
    return wrong


def the_provider_agrees(world: World) -> list[str]:
    """What the provider moved is what the books say, order by order."""
    refunded: Counter[str] = Counter()
    paid_out: Counter[str] = Counter()
    for payment_key, minor in world.payments.items():
        settlement_id, _, leg = payment_key.rpartition("/")
        order_id = settlement_id.rpartition(":")[0]
        if leg == "refund":
            refunded[order_id] += minor
        else:
            paid_out[order_id] += minor if leg == "payout" else -minor
    return [
        f"{order_id}: the provider refunded {refunded[order_id]}, paid out {paid_out[order_id]}, the books say {books}"
        for order_id, books in world.books.items()
        if (refunded[order_id], paid_out[order_id]) != (books.refunded_minor, books.paid_out_minor)
    ]


def nobody_is_written_to_twice(world: World) -> list[str]:
    """A mail may be handed over again, as the very same mail; what it says is said under one Message-ID; and what is
    said to be sent was sent."""
    by_id: dict[str, tuple[str, ...]] = {}
    by_content: dict[tuple[str, ...], str] = {}
    wrong = []
    for mail in world.mails:
        id_, content = str(mail["Message-ID"]), (str(mail["To"]), str(mail["Subject"]), str(mail["Date"]), _text(mail))
        if by_id.setdefault(id_, content) != content:
            wrong.append(f"two mails are called {id_}")
        if by_content.setdefault(content, id_) != id_:
            wrong.append(f"{content[0]} was told twice: {content[1]} ({id_}, {by_content[content]})")
    taken = {id_.strip("<>").partition("@")[0] for id_ in by_id}
    said = [seen for seen in world.once() if seen.type == "notification.sent.v1" and seen.data["channel"] == "email"]
    times = Counter(str(seen.data["delivery_id"]) for seen in said)
    wrong += [f"delivery {id_} is said to be sent {count} times" for id_, count in times.items() if count > 1]
    wrong += [f"delivery {id_} is said to be sent, but no mail was" for id_ in times.keys() - taken]
    wrong += [f"mail {id_} was sent, but nothing says so" for id_ in taken - times.keys()]
    return wrong


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


CHECKS = (
    every_order_ends,
    every_command_has_one_answer,
    repeats_are_exact,
    nothing_is_missing,
    nothing_is_out_of_order,
    nothing_was_set_aside,
    the_books_balance,
    the_provider_agrees,
    nobody_is_written_to_twice,
)


def problems(world: World) -> list[str]:
    return [f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(world)]


def repeats(records: Iterable[Seen]) -> int:
    """How many records are there again."""
    times = Counter((seen.topic, seen.source, seen.sequence) for seen in records if seen.ours)
    return sum(times.values()) - len(times)
