"""What must be true of the topics, the books and the mailbox, whatever was killed meanwhile.

Most of it the verifier proves, as it does in production. What it cannot know is checked here: that what was begun has
ended, that all that was sent could be read, and what lies in the mailbox. Each check takes what lies there and returns
what is wrong with it, in sentences; nothing is asked of the services.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from deploy.verify.checks import letters
from deploy.verify.checks.movements import DONE
from deploy.verify.observation import Observation
from deploy.verify.report import Report

ENDED = ("completed", "cancelled")


@dataclass
class World:
    """All that is left to look at."""

    paid: Mapping[str, int]
    """order_id -> what its buyer paid, by who sent the commands."""
    records: Sequence[Observation] = ()
    """Of all topics, in order within each partition."""
    report: Report = field(default_factory=Report)
    """The verifier's, of the same topics and of the databases."""
    mails: Sequence[EmailMessage] = ()

    def events(self) -> list[Observation]:
        """Each once, in the order in which they came first."""
        return list({one.id: one for one in self.records if one.topic.endswith(".events")}.values())


def every_order_ends(world: World) -> list[str]:
    """Completed or cancelled by its own word, and all its money with buyer or seller by the refund service's."""
    status: dict[str, str] = {}
    moved: Counter[str] = Counter()
    for one in world.events():
        if one.topic == "order.events" and not one.type.endswith("rejected.v1"):
            status[one.order_id] = one.data.get("status") or status.get(one.order_id, "")
        elif one.type in DONE:
            moved[one.order_id] += one.data[DONE[one.type]] * (-1 if one.data["leg"] == "chargeback" else 1)
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
    return [f"dead letter: {one}" for one in world.records if one.topic.endswith(".dead-letters")]


def nobody_is_written_to_twice(world: World) -> list[str]:
    """A mail may be handed over again, as the very same mail; what it says is said under one Message-ID; and what is
    said to be sent was sent."""
    taken = [(str(mail["Message-ID"]).strip("<>").partition("@")[0], _content(mail)) for mail in world.mails]
    wrong = [str(one) for one in letters.check_received("email", world.events(), taken)]
    by_content: dict[tuple[str, ...], str] = {}
    for id_, content in taken:
        if by_content.setdefault(content, id_) != id_:
            wrong.append(f"{content[0]} was told twice: {content[1]} ({id_}, {by_content[content]})")
    return wrong


def _content(mail: EmailMessage) -> tuple[str, ...]:
    return str(mail["To"]), str(mail["Subject"]), str(mail["Date"]), _text(mail)


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
