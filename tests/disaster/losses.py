"""What a cluster may lose: a topic, the tail of a log, everything."""

import asyncio
import shutil
from pathlib import Path
from struct import unpack_from

from confluent_kafka.admin import AdminClient

from deploy.local.stack import Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import PARTITIONS
from tests.support.topics import producer

_HEADER = ">qi"
_HEADER_BYTES = 12


async def make_anew(stack: Stack, topic: str) -> None:
    """Deleted and created: the same name, another topic, empty."""
    admin: AdminClient = await connect({"bootstrap.servers": stack.bootstrap_servers}, seconds=10)
    await answers(admin.delete_topics([topic]))
    await asyncio.sleep(1)  # or whom we ask may not know yet that it is gone
    await create_topics(stack.bootstrap_servers, stack.topics)


async def in_front_of_what_it_lacks(stack: Stack, topic: str) -> None:
    """What a service says between the topic is made anew and it notices: a number far above, where nothing lies before
    it."""
    service = topic.partition(".")[0]
    said = {
        "type": f"{service}.said_early.v1",
        "id": "early",
        "causationid": "nothing",
        "source": f"recourse/{service}/0",
    }
    numbered = [(f"ce_{name}", value.encode()) for name, value in (said | {"sequence": "1000000"}).items()]
    async with producer(stack.bootstrap_servers) as sending:
        await sending.send_and_wait(topic, b"{}", b"order-0", 0, headers=numbered)


async def lose_all(stack: Stack) -> None:
    """The disk is gone; the set-up job has made the topics again."""
    await stack.kafka.kill()
    shutil.rmtree(stack.folder / "kafka" / "data")
    await stack.kafka.start()
    await create_topics(stack.bootstrap_servers, stack.topics)


async def lose_tails(stack: Stack, topic: str, batches: int) -> int:
    """Of every log of a topic the last batches, as a disk loses what it had not written; returns how many logs."""
    await stack.kafka.kill()
    cut = sum(
        _cut(stack.folder / "kafka" / "data" / f"{topic}-{partition}", batches) for partition in range(PARTITIONS)
    )
    await stack.kafka.start()
    return cut


def _cut(folder: Path, batches: int) -> bool:
    [segment] = folder.glob("*.log")
    raw, begins, at = segment.read_bytes(), list[int](), 0
    while at + _HEADER_BYTES <= len(raw):
        _, length = unpack_from(_HEADER, raw, at)
        if length <= 0 or at + _HEADER_BYTES + length > len(raw):
            break
        begins.append(at)
        at += _HEADER_BYTES + length
    if not begins:
        return False
    segment.write_bytes(raw[: begins[max(0, len(begins) - batches)]])
    for other in [*folder.glob("*.index"), *folder.glob("*.timeindex"), *folder.glob("*.snapshot")]:
        other.unlink()
    return True
