"""The senders of an overload, in a process of their own: all is prepared, then each command is sent when it is due.

    python -m tests.overload.sender <bootstrap servers> <run> <commands> <seconds>

says `ready`, waits for a line, sends, and says what it did as JSON (`Sent`).
"""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from confluent_kafka import Message, Producer

from tests.overload.mix import schedule
from tests.support.commands import Given

POLL_SECONDS = 0.002
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Sent:
    commands: int
    """All of them."""
    due: int
    """Those due within the time asked for …"""
    seconds: float
    """… and when the last of them was acknowledged, from the beginning."""


def send(bootstrap_servers: str, due: Iterable[tuple[float, Given]], within: float) -> Sent:
    """Each at its second, or as soon after it as may be. Raises RuntimeError if one is not acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "log_level": 3,  # errors
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "message.timeout.ms": PATIENCE_SECONDS * 1_000,
        }
    )
    lost: list[str] = []
    last = 0.0

    def acknowledged(error: object, _: Message) -> None:
        if error is not None:
            lost.append(str(error))

    def in_time(error: object, message: Message) -> None:
        nonlocal last
        last = time.perf_counter() - began
        acknowledged(error, message)

    commands = in_all = 0
    began = time.perf_counter()
    for at, one in due:
        while (early := began + at - time.perf_counter()) > 0:
            producer.poll(min(early, POLL_SECONDS))
        heard = in_time if at <= within else acknowledged
        producer.produce(one.topic, one.value, one.key, headers=[*one.headers], on_delivery=heard)
        commands, in_all = commands + (at <= within), in_all + 1
        if in_all % 100 == 0:
            producer.poll(0)
    producer.flush(PATIENCE_SECONDS)
    if lost or len(producer):
        raise RuntimeError(f"{len(lost) + len(producer)} commands were not acknowledged: {lost[:1]}")
    return Sent(in_all, commands, last)


def main() -> None:
    bootstrap_servers, run, commands, seconds = sys.argv[1:]
    due = schedule(run, int(commands), float(seconds))
    print("ready", flush=True)
    if sys.stdin.readline():
        print(json.dumps(asdict(send(bootstrap_servers, due, float(seconds)))), flush=True)


if __name__ == "__main__":
    main()
