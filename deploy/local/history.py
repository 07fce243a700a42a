"""`make history ORDER=… AS=buyer`: an order's history as he may see it, read from a running system's topics."""

import argparse
import asyncio
import os
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, get_args

from deploy.stories.seen import EVENT_TOPICS, Seen, day_of
from deploy.stories.telling import retold
from schemas.catalogue import CONTRACT
from schemas.common import PolicyRef
from schemas.visibility import Viewer, may_see, view
from schemas.wire import Event
from shared.kernel import codec
from shared.rules import policies
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS
from shared.runtime.kafka.reading import LogReader
from shared.runtime.partitions import partition_of

_Read = TypeVar("_Read")


async def read(bootstrap_servers: str, prefix: str, order_id: str, of: Sequence[str] = EVENT_TOPICS) -> list[Any]:
    """All that the topics hold of the order so far: its partition of each, from the beginning to its present end."""
    key = order_id.encode()
    topics = [prefix + topic for topic in of]
    async with LogReader({"bootstrap_servers": bootstrap_servers}, topics) as reader:
        partitions = Counter(place.topic for place in reader.places)
        home = {topic: partition_of(key, count) for topic, count in partitions.items()}
        places = [place for place in reader.places if place.partition == home[place.topic]]
        return [record async for records in reader.to_the_end(places) for record in records if record.key == key]


def seen_by(records: Iterable[Any], viewer: Viewer) -> list[Seen]:
    """What the viewer may see of them, repeats left out, in order of time."""
    seen: dict[str, Seen] = {}
    for record in records:
        model = CONTRACT.get(codec.header(record.headers, "ce_type") or "")
        if model is None or not issubclass(model, Event):
            continue  # a newer service's
        event = model.read(record.value)
        if may_see(event, viewer):
            one = replace(Seen.of(record), data=view(event, viewer).data)
            seen.setdefault(one.id, one)
    return sorted(seen.values(), key=lambda one: one.at)


def lines(seen: list[Seen]) -> Iterator[str]:
    """The history as it is told, then where everything stands by now, in the viewer's own words."""
    yield from retold(seen, _day(seen))
    stands = {}
    for one in seen:
        service, subject = one.type.split(".")[0], one.data.get("dispute_id")
        if one.data.get("status") and (subject or service == "order") and not one.type.endswith(".rejected"):
            about = service if service == "order" else f"{service} {subject}"
            stands[about] = str(one.data["status"]).replace("_", " ")
    yield "  now: " + "; ".join(f"{about}: {status}" for about, status in stands.items())


def _day(seen: list[Seen]) -> timedelta:
    """How long a day of this order's policy is."""
    placed = next((one for one in seen if one.type == "order.placed"), None)
    rules = policies.load().by_ref.get(PolicyRef(**placed.data["policy"])) if placed else None
    return day_of(rules) if rules else timedelta(days=1)


def address() -> tuple[str, str]:
    """Of the broker, and what its topics begin with. Raises SystemExit."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        raise SystemExit("Set KAFKA_BOOTSTRAP_SERVERS to the broker of a running system; `make run` prints its own.")
    return servers, os.environ.get("RECOURSE_TOPIC_PREFIX", "")


def of_one_order(name: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    parser.add_argument("order", help="the order's id")
    parser.add_argument("--as", dest="viewer", choices=get_args(Viewer), default="operator", help="who looks at it")
    return parser


def asked_of(servers: str, reading: Coroutine[Any, Any, _Read]) -> _Read:
    """What is read from there. Raises SystemExit where nobody answers."""
    try:
        internals.install()
        return asyncio.run(reading)
    except CLIENT_ERRORS as error:
        raise SystemExit(f"Nobody to ask at {servers}: {error}") from None


def main() -> None:
    asked = of_one_order("deploy.local.history", __doc__).parse_args()
    servers, prefix = address()
    records = asked_of(servers, read(servers, prefix, asked.order))
    seen = seen_by(records, asked.viewer)
    if not seen:
        raise SystemExit(f"There is nothing about the order {asked.order} to be seen as {asked.viewer}.")
    for line in lines(seen):
        print(line)


if __name__ == "__main__":
    main()
