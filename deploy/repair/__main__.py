"""Puts a stopped service right. Each command shows what it found and what it will do, and asks; `--yes` answers for it.

  replay         its database is older than the bus: what the bus has beyond it is decided once more and compared
  republish      the bus lost what it said, or a log its tail: what is missing is published again from its table
  restart-topic  an input topic was made anew: it is read from where it begins
  accept         a person has looked at an order that was withheld, or at a topic: it goes on with the next start
  list           what of all repairs a person must look at

The environment says where Kafka and PostgreSQL are, as it does for the service. docs/OPERATIONS.md, Disaster.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Sequence

from deploy.repair import recipes
from deploy.repair.bus import Bus
from deploy.repair.stopped import CannotRepair, Mandate, StoppedService, hold, left
from schemas.topics import SERVICES
from shared.kernel.ports import Fenced, Outage
from shared.runtime import logs
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS
from shared.runtime.postgres import database


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.repair", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name in ("replay", "republish", "restart-topic", "accept", "list"):
        command = commands.add_parser(name)
        command.add_argument("service", choices=SERVICES)
        if name == "restart-topic":
            command.add_argument("topic", help="without prefix")
        if name == "accept":
            command.add_argument("subject", help="as the list names it: an order, a topic")
        if name != "list":
            command.add_argument("--reason", required=True, help="why; it is kept")
            command.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


def _ask(said: Sequence[str], yes: bool) -> bool:
    print("\n".join(said), flush=True)
    if yes:
        return True
    answer = input("Do it? [yes/no] ")
    return answer.strip().lower() == "yes"


def _say(sentence: str) -> None:
    print(sentence, flush=True)


async def _do(held: StoppedService, chosen: argparse.Namespace) -> None:
    def ask(said: Sequence[str]) -> bool:
        return _ask(said, chosen.yes)

    if chosen.command == "accept":
        if ask([f"{chosen.subject} of {chosen.service} goes on with the next start: whatever waits is handled."]):
            shards = await held.accept(chosen.subject)
            for shard in set(shards):
                await held.note(shard, {"accepted": chosen.subject})
            _say(f"{chosen.subject}: accepted" if shards else f"{chosen.subject}: nothing of it was withheld")
        return
    topics = [chosen.topic] if chosen.command == "restart-topic" else held.decoder.topics
    if unknown := sorted({*topics} - {*held.decoder.topics}):
        raise CannotRepair(f"the {chosen.service} service does not read {unknown[0]}")
    async with Bus.opened(held.settings, held.service, topics) as bus:
        match chosen.command:
            case "replay":
                await recipes.replay(held, bus, ask, _say)
            case "republish":
                await recipes.republish(held, bus, ask, _say)
            case "restart-topic":
                await recipes.restart_topic(held, bus, chosen.topic, ask, _say)


def _who() -> str:
    """In a container the user may be no more than a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


async def _run(chosen: argparse.Namespace) -> None:
    if chosen.command != "list":
        internals.install()
        words = [chosen.command, chosen.service, *filter(None, (getattr(chosen, n, "") for n in ("topic", "subject")))]
        async with hold(chosen.service, Mandate(_who(), chosen.reason, " ".join(words))) as held:
            await _do(held, chosen)
        print()
    found = await left(chosen.service)
    print(f"A person must look at {len(found)} things:" if found else "Nobody has to look at anything.")
    for one in found:
        print(f"  {one}")


def main() -> None:
    chosen = _arguments()
    try:
        asyncio.run(_run(chosen))
    except CannotRepair as reason:
        sys.exit(f"Cannot repair: {reason}.")
    except Fenced:
        sys.exit("Somebody has taken a shard meanwhile, nothing more was changed: stop the service and begin again.")
    except (Outage, *CLIENT_ERRORS, *database.ERRORS) as error:
        sys.exit(f"Cannot repair: {type(error).__name__}: {logs.words(error)}. What was done is kept; begin again.")


if __name__ == "__main__":
    main()
