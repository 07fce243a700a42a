"""What must be true of the topics, the books and the mailbox, whatever was killed meanwhile.

Most of it the verifier proves, as it does in production. What it cannot know is checked here: that what was begun has
ended, that all that was sent could be read, and what lies in the mailbox. Each check takes what lies there and returns
what is wrong with it, in sentences; nothing is asked of the services.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiokafka import ConsumerRecord

from deploy.verify.report import Report
from tests.support.topics import header

ENDED = ("completed", "cancelled")


@dataclass(frozen=True)
class Seen:
    """One record, repeats too."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    value: bytes

    @staticmethod
    def of(record: ConsumerRecord) -> "Seen":
        return Seen(
            record.topic,
            record.partition,
            record.offset,
            (record.key or b"").decode(errors="replace"),
            header(record, "ce_id"),
            header(record, "ce_type"),
            record.value or b"",
        )

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.value))

    @property
    def service(self) -> str:
        return self.topic.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset} {self.type} {self.id}"


@dataclass
class World:
    """All that is left to look at."""

    paid: Mapping[str, int]
    """order_id -> what its buyer paid, by who sent the commands."""
    records: Sequence[Seen] = ()
    """Of all topics, in order within each partition."""
    report: Report = field(default_factory=Report)
    """The verifier's, of the same topics and of the databases."""
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


def every_promise_is_kept(world: World) -> list[str]:
    """Of the ledger, the provider, the commands, the deadlines and the sequences."""
    return world.report.problems()


def nothing_was_set_aside(world: World) -> list[str]:
    """All that was sent could be read and handled."""
    return [f"dead letter: {seen}" for seen in world.records if seen.topic.endswith(".dead-letters")]


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


CHECKS = (every_order_ends, every_promise_is_kept, nothing_was_set_aside, nobody_is_written_to_twice)


def problems(world: World) -> list[str]:
    return [f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(world)]


def lost(problems: Iterable[str]) -> int:
    """How many of these problems are something that never came."""
    return sum("never answered" in problem or "nowhere" in problem for problem in problems)


def doubled(problems: Iterable[str]) -> int:
    """How many of these problems are something that came more than once, as two different things."""
    return sum(any(word in problem for word in (" times: ", "two events", "twice")) for problem in problems)
