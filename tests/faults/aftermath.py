"""What is left after a fault, looked at until all is well."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from email.message import EmailMessage

from deploy.local.stack import Stack
from deploy.verify.collect import VerifySettings, verify
from deploy.verify.observation import Reader
from schemas.topics import PARTITIONS, all_topics
from tests.faults import checks
from tests.faults.market import PAID, Market
from tests.support.topics import read_all

SETTLING_SECONDS = 240
"""How long the last letter and the last alarm may take after the last order has ended."""

GRACE_SECONDS = 60
"""How long what follows may take right after a fault."""


async def settled(
    look: Callable[[], Awaitable[checks.World]],
    check: Callable[[checks.World], list[str]] = checks.problems,
    seconds: float = SETTLING_SECONDS,
) -> tuple[checks.World, list[str]]:
    """Looks until all is well, or for so long that it will not be. The checks run beside this loop: it may be what
    answers the services' mail meanwhile."""
    until = time.monotonic() + seconds
    while True:
        world = await look()
        problems = await asyncio.to_thread(check, world)
        if not problems or time.monotonic() > until:
            return world, problems
        await asyncio.sleep(2)


def system(stack: Stack, grace_seconds: float = 0) -> VerifySettings:
    """Where the verifier finds everything of an embedded stack; without a grace nothing is under way there any more."""
    return VerifySettings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        database_url=stack.database_url,
        verify_grace_seconds=grace_seconds,
    )


async def meanwhile(stack: Stack) -> list[str]:
    """What is wrong already, while orders are under way: as in production, but for the grace of a busy machine."""
    report = await asyncio.to_thread(asyncio.run, verify(system(stack, GRACE_SECONDS)))
    return report.problems()


async def what_is_left(system: VerifySettings, market: Market, mails: Sequence[EmailMessage] = ()) -> checks.World:
    """Read beside this loop, for the same reason."""
    return await asyncio.to_thread(asyncio.run, _what_is_left(system, market, mails))


async def _what_is_left(system: VerifySettings, market: Market, mails: Sequence[EmailMessage]) -> checks.World:
    topics = [topic.name for topic in all_topics()]
    records = await read_all(system.kafka_bootstrap_servers, topics)
    reader, paid = Reader(PARTITIONS), dict.fromkeys(market.orders, PAID)
    return checks.World(paid, [reader.observation(record) for record in records], await verify(system), mails)


def figures(market: Market, world: checks.World, problems: Iterable[str]) -> str:
    """What went through it, in one line."""
    mails = Counter(str(mail["Message-ID"]) for mail in world.mails)
    return (
        f"{len(market.orders)} orders, {market.sent} commands ({market.said_again} said again)."
        f" {len(world.records)} records, {world.report.counts['repeats']} of them repeats;"
        f" {len(mails)} mails, {mails.total() - len(mails)} handed over again. Lost: {checks.lost(problems)}."
    )
