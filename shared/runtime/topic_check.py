"""Are a service's topics what it counts on? Before it starts, and again and again while it runs."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from schemas.topics import all_topics, durability, is_less
from shared.runtime.kafka.connection import CLIENT_ERRORS, connection
from shared.runtime.problems import Problems
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

KIND = "topic "
"""How the places of problems begin that are told here."""
TIME_TYPE = {"message.timestamp.type": "LogAppendTime"}


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a topic from what it is counted on to be."""

    sentence: str
    recipe: str
    refused: bool
    """No service starts on it."""


async def check(settings: Settings, service: str) -> None:
    """Every topic that the service reads or writes must be there with the partitions we count on, and tell the broker's
    time (R0).

    Raises TimeoutError for what may still come, SystemExit for what nobody but an operator can put right.
    """
    refused = [one.sentence for one in (await differences(settings, service)).values() if one.refused]
    if refused:
        raise SystemExit("\n".join(refused))


async def keep_looking(settings: Settings, service: str, problems: Problems) -> None:
    """Begins and ends what is wrong with the topics, until cancelled."""
    while True:
        try:
            found = await differences(settings, service)
        except CLIENT_ERRORS as error:
            log.info("the broker does not say what the topics are: %s: %s", type(error).__name__, error)
        else:
            for place, one in found.items():
                problems.begin(place, one.sentence, one.recipe)
            problems.keep(KIND, found.keys())
        await asyncio.sleep(settings.topics_look_seconds)


async def differences(settings: Settings, service: str) -> dict[str, Difference]:
    """By place. Raises TimeoutError for topics that are not there, and CLIENT_ERRORS."""
    topics = all_topics(settings.topic_prefix, settings.partitions)
    names = [topic.name for topic in topics if service in topic.writers | topic.readers]
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        described = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics(names)}
        missing = [name for name in names if not described.get(name)]
        if missing:
            raise TimeoutError(f"topics that do not exist yet: {', '.join(missing)}")
        found: dict[str, Difference] = {}
        for name in names:
            found |= _partitions(name, len(described[name]), settings.partitions)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await admin.describe_configs(resources):
            for error, _, _, name, entries in response.resources:
                if error:
                    sentence = f"the settings of topic {name} cannot be seen: {for_code(error).__name__}"
                    found[f"{KIND}{name}"] = Difference(sentence, "a-topic-is-not-as-declared", refused=True)
                else:
                    copies = min(len(partition["replicas"]) for partition in described[name])
                    found |= _settings(name, copies, {entry[0]: entry[1] for entry in entries})
        return found
    finally:
        await admin.close()


def _partitions(name: str, count: int, declared: int) -> dict[str, Difference]:
    if count == declared:
        return {}
    sentence = f"topic {name} has {count} partitions, not {declared}: shards would mix"
    return {f"{KIND}{name} partitions": Difference(sentence, "another-number-of-partitions", refused=True)}


def _settings(name: str, copies: int, config: Mapping[str, str | None]) -> dict[str, Difference]:
    return {
        f"{KIND}{name} {setting}": Difference(
            f"topic {name} needs {setting}={declared}, it has {config.get(setting)}",
            "a-topic-is-not-as-declared",
            refused=setting in TIME_TYPE,
        )
        for setting, declared in (TIME_TYPE | durability(copies)).items()
        if is_less(config.get(setting), declared)
    }
