"""Topics as they are declared (`schemas.topics`): what is missing is created, the rest compared and left alone."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from deploy.setup.broker import answers, connect
from deploy.setup.job import Drift, Kind, SetUpFailed
from schemas.topics import Topic, durability, is_less

BROKERS_DEFAULT = -1
LEADERS_SECONDS = 60
TIME_TYPE = "message.timestamp.type"


@dataclass(frozen=True)
class _Found:
    """A topic as it is. `copies`: of the partition that has the fewest."""

    partitions: int
    copies: int
    config: dict[str, str | None]


async def create_topics(bootstrap_servers: str, topics: Sequence[Topic]) -> list[Drift]:
    """Topics alone, on a broker that asks nobody who he is. What differs is returned; what services would refuse to
    start on is raised as SetUpFailed."""
    admin = await connect({"bootstrap.servers": bootstrap_servers}, seconds=10)
    findings = await set_up(admin, topics)
    fatal = [finding.text for finding in findings if finding.kind is Kind.FATAL]
    if fatal:
        raise SetUpFailed("\n".join(fatal))
    return [finding for finding in findings if finding.kind is Kind.DRIFT]


async def partitions_there(bootstrap_servers: str, topics: Sequence[Topic]) -> int | None:
    """How many the topics have that are there already; None: there is none of them."""
    admin = await connect({"bootstrap.servers": bootstrap_servers}, seconds=10)
    described = await _described(admin, [topic.name for topic in topics])
    return max((len(one.partitions) for one in described.values()), default=None)


async def set_up(
    admin: AdminClient, topics: Sequence[Topic], replication_factor: int = BROKERS_DEFAULT, *, check: bool = False
) -> list[Drift]:
    """Creates what is missing, returns when all have leaders, and says of each how it compares to what is declared.

    With `check` nothing is created. Several may do this at the same time.
    """
    missing = {topic.name for topic in topics} - (await _described(admin, [topic.name for topic in topics])).keys()
    created: Collection[str] = ()
    if not check:
        new = [
            NewTopic(topic.name, topic.partitions, replication_factor, config=topic.config)
            for topic in topics
            if topic.name in missing
        ]
        created = await answers(admin.create_topics(new), unless=KafkaError.TOPIC_ALREADY_EXISTS) if new else ()
        missing = set()
    present = [topic.name for topic in topics if topic.name not in missing]
    found = await _led(admin, present)
    if frail := {name: durability(found[name].copies) for name in created if durability(found[name].copies)}:
        await _set(admin, frail)
        found |= await _led(admin, list(frail), frail)
    findings = []
    for topic in topics:
        if topic.name in missing:
            findings.append(Drift(Kind.DRIFT, f"{topic.name}: missing"))
            continue
        if topic.name in created:
            findings.append(Drift(Kind.DONE, f"created {topic.name} ({topic.partitions} partitions)"))
        drift = _drift(topic, found[topic.name])
        if not drift and topic.name not in created:
            findings.append(Drift(Kind.AS_DECLARED, f"{topic.name}: as declared"))
        findings += drift
    return findings


def _drift(topic: Topic, found: _Found) -> list[Drift]:
    drift = []
    if found.partitions != topic.partitions:
        text = f"{topic.name}: partitions is {found.partitions}, declared {topic.partitions}; services refuse to start"
        drift.append(Drift(Kind.FATAL, text))
    differ = [(name, declared) for name, declared in topic.config.items() if found.config.get(name) != declared]
    less = [one for one in durability(found.copies).items() if is_less(found.config.get(one[0]), one[1])]
    for name, declared in [*differ, *less]:
        text = f"{topic.name}: {name} is {found.config.get(name)}, declared {declared}"
        if name == TIME_TYPE:
            drift.append(Drift(Kind.FATAL, f"{text}; services refuse to start"))
        else:
            drift.append(Drift(Kind.DRIFT, text))
    return drift


async def _set(admin: AdminClient, settings: Mapping[str, Mapping[str, str]]) -> None:
    """By topic."""
    changes = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in new.items()
            ],
        )
        for topic, new in settings.items()
    ]
    await answers(admin.incremental_alter_configs(changes))


async def _led(
    admin: AdminClient, names: Sequence[str], settings: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, _Found]:
    """What each is, once all partitions have leaders and every broker we happen to ask knows of it, and of what was
    set just now."""
    until = time.monotonic() + LEADERS_SECONDS
    while True:
        described = await _described(admin, names)
        configs = await _configs(admin, names)
        led = {
            name: _Found(
                len(description.partitions),
                min(len(partition.replicas) for partition in description.partitions),
                configs[name],
            )
            for name, description in described.items()
            if name in configs
            and configs[name].items() >= (settings or {}).get(name, {}).items()
            and all(partition.leader is not None for partition in description.partitions)
        }
        if len(led) == len(names):
            return led
        if time.monotonic() > until:
            without = ", ".join(name for name in names if name not in led)
            raise SetUpFailed(f"After {LEADERS_SECONDS} s these topics have no leaders: {without}")
        await asyncio.sleep(0.02)


async def _described(admin: AdminClient, names: Sequence[str]) -> dict[str, Any]:
    """Those that exist, as librdkafka's TopicDescription."""
    if not names:
        return {}
    asked = admin.describe_topics(TopicCollection(list(names)))
    return await answers(asked, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)


async def _configs(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str | None]]:
    if not names:
        return {}
    asked = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in names])
    return {
        resource.name: {name: entry.value for name, entry in entries.items()}
        for resource, entries in (await answers(asked, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)).items()
    }
