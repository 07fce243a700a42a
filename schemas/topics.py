"""The topics, as data: everything that creates, checks or documents a topic reads this."""

from dataclasses import dataclass, field
from typing import get_args

from schemas.wire import Service

PARTITIONS = 12
"""The same on every topic, and for ever: partition p of every topic belongs to shard p of each service."""

SERVICES: tuple[Service, ...] = get_args(Service)
COMMAND_BYTES_MAX = 64 * 1024
BATCH_BYTES_MAX = 900_000
"""What one produce request of ours may weigh; under the broker's default limit of 1 MiB."""
DEAD_LETTER_BYTES_MAX = 3 * 1024 * 1024
"""A dead letter carries the original whole (up to the broker's 1 MiB, headers too) and its reasons."""

_WEEK_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Topic:
    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def all_topics(prefix: str = "", partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic of the system. Time is the broker's append time on all of them (R0); events are kept for ever
    and never compacted: the key is the order, so compaction would keep one event of each."""
    time = {"message.timestamp.type": "LogAppendTime"}
    # However it was sent, what outsiders write is stored as it is read: a batch of a few KiB cannot unfold into
    # gigabytes in a service, the broker refuses it as larger than its limit.
    unfolded = time | {"compression.type": "uncompressed"}
    commands = unfolded | {"retention.ms": str(4 * _WEEK_MS)}
    events = time | {"retention.ms": "-1", "cleanup.policy": "delete"}
    dead_letters = events | {"max.message.bytes": str(DEAD_LETTER_BYTES_MAX)}
    configs = {f"{service}.commands": commands for service in SERVICES if service != "notification"}
    configs |= {f"{service}.events": events for service in SERVICES}
    configs |= {f"{service}.dead-letters": dead_letters for service in SERVICES}
    configs |= {"payments.commands": commands, "payments.events": events | unfolded}
    return [Topic(prefix + name, partitions, config) for name, config in configs.items()]


OUTSIDERS_WRITE = frozenset({"order.commands", "dispute.commands", "mediation.commands", "refund.commands"}) | {
    "payments.events"
}
"""Topics whose records may come from others than our services: no high-water marks there, repeats are known by id."""
