"""Before a service starts: are its topics what it counts on?"""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from schemas.topics import all_topics
from shared.runtime.kafka.connection import connection
from shared.runtime.settings import Settings


async def check(settings: Settings, service: str) -> None:
    """Every topic that the service reads or writes must be there with the partitions we count on, and tell the broker's
    time (R0).

    Raises TimeoutError for what may still come, SystemExit for what nobody but an operator can put right.
    """
    topics = all_topics(settings.topic_prefix, settings.partitions)
    names = [topic.name for topic in topics if service in topic.writers | topic.readers]
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
        missing = [name for name in names if not described.get(name, {}).get("partitions")]
        if missing:
            raise TimeoutError(f"topics that do not exist yet: {', '.join(missing)}")
        for name in names:
            count = len(described[name]["partitions"])
            if count != settings.partitions:
                raise SystemExit(f"topic {name} has {count} partitions, not {settings.partitions}: shards would mix")
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await admin.describe_configs(resources):
            for error, _, _, name, entries in response.resources:
                if error:
                    raise SystemExit(f"the settings of topic {name} cannot be seen: {for_code(error).__name__}")
                times = [entry[1] for entry in entries if entry[0] == "message.timestamp.type"]
                if times != ["LogAppendTime"]:
                    raise SystemExit(f"topic {name} needs message.timestamp.type=LogAppendTime, it has {times}")
    finally:
        await admin.close()
