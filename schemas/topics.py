"""The topics, as data: everything that creates, checks or documents a topic reads this."""

from dataclasses import dataclass, field
from typing import get_args

from schemas.wire import Service

PARTITIONS = 12
"""The same on every topic, and for ever: partition p of every topic belongs to shard p of each service."""

SERVICES: tuple[Service, ...] = get_args(Service)
CASE_FILE = "casefile"
"""Reads what everybody says, decides nothing, and hands the commands of those who are signed in there to the bus."""
PROCESSES: tuple[str, ...] = (*SERVICES, CASE_FILE)
"""What runs, each with an identity and a database schema of its own."""
COMMAND_BYTES_MAX = 256 * 1024
HEADERS_MAX = 1_000
"""Of a record; what has more is set aside without them. In memory a header is many times as large as on the wire."""
BATCH_BYTES_MAX = 900_000
"""What one produce request of ours may weigh; under the broker's default limit of 1 MiB."""
DEAD_LETTER_BYTES_MAX = 3 * 1024 * 1024
"""A dead letter carries the original whole (up to the broker's 1 MiB, headers too) and its reasons."""

RECORD_BYTES_MAX = 1024 * 1024 + 12
"""What the broker takes of others, as by its own default: what is too long for us still reaches the dead letters."""

OUTSIDERS = ("gateway", "payments", "operator")
"""Who else has an identity of his own: gateways, which vouch for people; the platform's payment service; and people
with Kafka tools."""

_PEOPLE = frozenset({"gateway", "operator"})
_SIGNED_IN = _PEOPLE | {CASE_FILE}
_WRITERS: dict[str, frozenset[str]] = {
    "order.commands": _SIGNED_IN | {"timer"},
    "dispute.commands": _SIGNED_IN | {"timer"},
    "mediation.commands": _SIGNED_IN | {"timer"},
    "refund.commands": frozenset({"operator", CASE_FILE, "timer"}),
    "timer.commands": frozenset({"order", "dispute", "mediation", "refund", "operator", CASE_FILE}),
    "notification.commands": frozenset({"operator", CASE_FILE}),
    "payments.commands": frozenset({"refund"}),
    "payments.events": frozenset({"payments"}),
    "people": _PEOPLE,
}
"""Every other topic is written by the service it is named after, alone."""
_READERS: dict[str, frozenset[str]] = {
    "order.events": frozenset({"dispute", "refund", "notification", "gateway"}),
    "dispute.events": frozenset({"order", "mediation", "notification", "gateway"}),
    "mediation.events": frozenset({"dispute", "notification", "gateway"}),
    "mediation.roster": frozenset({"mediation"}),
    "refund.events": frozenset({"order", "notification", "gateway"}),
    "notification.events": frozenset({"gateway"}),
    "timer.events": frozenset({"gateway"}),
    "payments.commands": frozenset({"payments"}),
    "payments.events": frozenset({"refund", "payments"}),
    "people": frozenset({"notification"}),
}
"""Besides operators, who read everything, and inboxes, which are read by the service they are named after."""
FOLLOWED = frozenset(
    {
        *(f"{service}.events" for service in SERVICES),
        *(f"{service}.commands" for service in SERVICES if service != "timer"),
        *(f"{service}.dead-letters" for service in SERVICES),
        *("mediation.roster", "payments.events"),
    }
)
"""What the case file reads: all but who is reached where, calls of the payment service, and what is said to timers."""

_DAY_MS = 24 * 3600 * 1000
_WEEK_MS = 7 * _DAY_MS


@dataclass(frozen=True)
class Topic:
    """`writers` and `readers` are services or outsiders; nobody else has access where the broker asks who is there."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    writers: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()


def all_topics(prefix: str = "", partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic of the system. Time is the broker's append time on all of them (R0); events are kept for ever
    and never compacted: the key is the order, so compaction would keep one event of each. `people` is nothing but
    compacted: what was replaced or erased is gone a day later (R74)."""
    common = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(RECORD_BYTES_MAX),
        "cleanup.policy": "delete",
        "retention.bytes": "-1",  # time alone ends a record's life, whatever the broker's default says
    }
    # However it was sent, what outsiders write is stored as it is read: a batch of a few KiB cannot unfold into
    # gigabytes in a service, the broker refuses it as larger than its limit.
    unfolded = common | {"compression.type": "uncompressed"}
    commands = unfolded | {"retention.ms": str(4 * _WEEK_MS)}
    events = common | {"retention.ms": "-1"}
    dead_letters = events | {"max.message.bytes": str(DEAD_LETTER_BYTES_MAX)}
    people = unfolded | {
        "cleanup.policy": "compact",
        "retention.ms": "-1",
        "max.compaction.lag.ms": str(_DAY_MS),
        "min.cleanable.dirty.ratio": "0.01",
        # Whoever was away for as long as commands are kept hears of every erasure when he is back.
        "delete.retention.ms": commands["retention.ms"],
    }
    configs = {f"{service}.commands": commands for service in SERVICES}
    configs |= {f"{service}.events": events for service in SERVICES}
    configs |= {f"{service}.dead-letters": dead_letters for service in PROCESSES}
    # Who has lost the table of timers finds every alarm there that is still to ring: none waits for so long.
    configs["timer.commands"] = unfolded | {"retention.ms": str(104 * _WEEK_MS)}
    configs |= {"mediation.roster": commands, "payments.commands": commands, "payments.events": events | unfolded}
    configs["people"] = people
    return [
        Topic(prefix + name, partitions, config, _writers(name), _readers(name)) for name, config in configs.items()
    ]


def durability(copies: int) -> dict[str, str]:
    """What every topic is set to besides, where each partition has so many copies: what is acknowledged is on two of
    them, and none that lacks some of it may lead. With fewer copies than three the first broker that is away would stop
    all writing."""
    return {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"} if copies >= 3 else {}


def is_less(found: str | None, declared: str) -> bool:
    """More copies in sync than declared are as good."""
    return found != declared and not (declared.isdigit() and found is not None and int(found) > int(declared))


def _writers(name: str) -> frozenset[str]:
    return _WRITERS.get(name, frozenset({name.partition(".")[0]}))


def _readers(name: str) -> frozenset[str]:
    inbox = {name.partition(".")[0]} if name.endswith(".commands") and name not in _READERS else set()
    follows = {CASE_FILE} if name in FOLLOWED else set()
    return _READERS.get(name, frozenset()) | inbox | follows | {"operator"}


OUTSIDERS_WRITE = frozenset(
    topic.name for topic in all_topics() if not topic.writers <= set(PROCESSES) and topic.name != "timer.commands"
)
"""Topics whose records may come from others than our services: no high-water marks there, repeats are known by id. To
the timer service operators say that an order goes on, and nothing else; what is numbered there is a service's."""


SERVICES_WRITE = frozenset(topic.name for topic in all_topics()) - OUTSIDERS_WRITE
"""All others."""
COMPACTED = frozenset(topic.name for topic in all_topics() if topic.config["cleanup.policy"] == "compact")
"""What lies there has no story, and nothing of it may be left elsewhere: who cannot read it says where it lay, and no
more."""
KEPT_FOR_EVER = frozenset(topic.name for topic in all_topics() if topic.config["retention.ms"] == "-1")


def written_by(service: str) -> list[str]:
    return [topic.name for topic in all_topics() if service in topic.writers]


def consumer_group(service: str, prefix: str = "") -> str:
    """Under which a service tells lag tools how far it is; where it goes on after a restart its database says."""
    return f"{prefix}recourse-{service}"
