"""The run: how much the machine can take, a third of an overload, an overload, and what is left of it."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zlib import crc32

from deploy.local.processes import free_port
from deploy.local.stack import REPO, Stack
from deploy.verify.collect import verify
from deploy.verify.report import Report
from schemas.instants import EPOCH
from schemas.topics import SERVICES
from shared.kernel.ports import Record
from shared.rules import calendar
from tests.faults import aftermath
from tests.overload import again, mix
from tests.overload.sampler import Phase, Sampler
from tests.overload.sender import Sent, send
from tests.support.believing import believing, folder_of
from tests.support.commands import Given
from tests.support.topics import how_many, reader

RATIO = 10
CAPACITY_COMMANDS = 3_000
GROWTH_MAX = 1.5
"""Of a service's memory, when three times as much waits."""
REPLAYED_MAX = 2_500
"""So many commands, about, are played once more in memory; and all of the orders that had a dispute before."""
LOOK_SECONDS = 0.5
STANDSTILL_SECONDS = 180.0
"""When nothing was handled for so long, it does not drain."""


@dataclass
class Flood:
    """What was sent at ten times the rate, and what became of it."""

    run: str
    seconds: float
    sent: Sent
    phase: Phase
    lag_max: int
    drained_after: float
    """Seconds from the end of the sending until nothing was on its way."""


@dataclass
class Outcome:
    capacity: float
    """Commands per second, all that follows from them included."""
    calm: Phase
    floods: list[Flood]
    report: Report
    dead_letters: int
    in_time: again.InTime
    compared: again.Compared
    replayed: int
    load_average: Sequence[float]
    noise: dict[str, int] = field(default_factory=dict)
    """Lines of the services' logs that say warning or worse, by what they say."""


class Overload:
    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self.stack, self.say = stack, say
        self.ports: dict[str, int] = {service: free_port() for service in SERVICES}
        self.sampler = Sampler(stack, self.ports)

    async def run(self, seconds: float, third: bool) -> Outcome:
        """`third`: first a third of it, to see what grows with what waits."""
        await self._start()
        async with self.sampler:
            capacity, calm = await self._capacity()
            self.say(f"Capacity: {capacity:,.0f} commands a second. Load average {os.getloadavg()[0]:.1f}.")
            floods = [await self._flood("third", seconds / 3, capacity)] if third else []
            floods.append(await self._flood("whole", seconds, capacity))
            self.sampler.check()
        self.say("Drained. Looking at what is left ...")
        return await self._left(capacity, calm, floods)

    async def _start(self) -> None:
        """Without mail: its server's pace is another matter, and letters wait in a table."""
        env = {"RECOURSE_SMTP_HOST": ""} | folder_of(self.stack.folder / "policies")
        starts = [
            self.stack.start_services([name], env | {"RECOURSE_HTTP_PORT": str(port)})
            for name, port in self.ports.items()
        ]
        await asyncio.gather(*starts)

    async def _capacity(self) -> tuple[float, Phase]:
        """All at once, to services that wait for it; the first of it warms them."""
        warm, given = mix.backlog("warm", CAPACITY_COMMANDS // 4), mix.backlog("calm", CAPACITY_COMMANDS)
        await self._settled(warm)
        self._turn()
        began = ended = time.perf_counter()
        await self._send(given)
        handled = 0
        while await self._behind():
            if (now := await self.sampler.handled()) > handled:
                handled, ended = now, time.perf_counter()
        return len(given) / (ended - began), self._turn()

    def _turn(self) -> Phase:
        """What was seen so far; a new phase begins."""
        seen, self.sampler.phase = self.sampler.phase, Phase()
        return seen

    async def _flood(self, run: str, seconds: float, capacity: float) -> Flood:
        servers = self.stack.bootstrap_servers
        commands = int(RATIO * capacity * seconds)
        sender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.overload.sender", servers, run, str(commands), str(seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=REPO,
        )
        assert sender.stdin is not None
        assert sender.stdout is not None
        try:
            await sender.stdout.readline()
            for said in mix.preparation(run):
                await self._settled(said)
            self._turn()
            sender.stdin.write(b"go\n")
            highest = await self._highest(answer := asyncio.create_task(sender.stdout.readline()))
            sent = Sent(**json.loads(await answer))
        finally:
            sender.stdin.close()
            await sender.wait()
        began = time.perf_counter()
        await self._drained()
        flood = Flood(run, seconds, sent, self._turn(), highest, time.perf_counter() - began)
        self.say(f"{run}: {sent.commands:,} commands sent, {highest:,} records waited, {flood.drained_after:.0f} s.")
        return flood

    async def _settled(self, said: Sequence[Given]) -> None:
        await self._send(said)
        await self._drained()

    async def _send(self, said: Sequence[Given]) -> None:
        await asyncio.to_thread(send, self.stack.bootstrap_servers, [(0.0, one) for one in said], 0.0)

    async def _highest(self, until: asyncio.Task[bytes]) -> int:
        """The most that waited while this was going on."""
        highest = 0
        while not until.done():
            self.sampler.check()
            highest = max(highest, await self.sampler.lag() or 0)
            await asyncio.wait([until], timeout=LOOK_SECONDS)
        return highest

    async def _drained(self) -> None:
        """Nothing waits any more, and the services say so themselves."""
        handled, moved_at = 0, time.monotonic()
        while await self._behind() or await self.sampler.seconds_behind():
            if (now := await self.sampler.handled()) != handled:
                handled, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > STANDSTILL_SECONDS:
                lag, behind = await self.sampler.lag(), await self.sampler.seconds_behind()
                raise AssertionError(f"{lag} records wait, {behind} s by what the services say; nothing is handled")
            await asyncio.sleep(LOOK_SECONDS)

    async def _behind(self) -> bool:
        self.sampler.check()
        return await self.sampler.lag() != 0

    # -- what is left --------------------------------------------------------------------------------------------------

    async def _left(self, capacity: float, calm: Phase, floods: list[Flood]) -> Outcome:
        report = await verify(aftermath.system(self.stack))
        self.say(report.line())
        until = datetime.now(UTC)
        every = max(sum(flood.sent.commands for flood in floods) // REPLAYED_MAX, 1)
        here, dead_letters = await self._read(every)
        given = [record for record in here.commands if _sampled(record.key, every)]
        self.say(f"Playing {len(given):,} commands once more, where nothing takes time ...")
        there = await again.played(given, until)
        for service in self.stack.services.values():
            service.check()
        return Outcome(
            capacity,
            calm,
            floods,
            report,
            dead_letters,
            again.judged(here, window_to_ship()),
            again.compared(here, there, given),
            len(given),
            os.getloadavg(),
            self._noise(),
        )

    async def _read(self, every: int) -> tuple[again.Heard, int]:
        """What lies in the topics of the orders that are looked at one by one; and how many dead letters there are."""
        heard = again.Heard()
        letters = [f"{service}.dead-letters" for service in SERVICES]
        async with reader(self.stack.bootstrap_servers, *again.COMMANDS, *again.EVENTS) as said:
            async for records in said.to_the_end():
                for r in records:
                    if _looked_at(r.key, every):
                        heard.take(Record(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers))
        return heard, await how_many(self.stack.bootstrap_servers, letters)

    def _noise(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for service in self.stack.services.values():
            for line in service.log.read_text(errors="replace").splitlines():
                if not line.startswith("{") or (said := json.loads(line))["level"] not in ("info", "debug"):
                    found[line if not line.startswith("{") else f"{said['service']}: {said['event']}"[:120]] += 1
        return dict(found)


def _sampled(key: bytes | None, every: int) -> bool:
    """Orders that are played once more: all that had a dispute before, and of the others one in so many."""
    way = mix.WAYS.get(mix.way_of((key or b"").decode()))
    return way is not None and way.one_inbox and (bool(way.before) or crc32(key or b"") % every == 0)


def _looked_at(key: bytes | None, every: int) -> bool:
    way = mix.WAYS.get(mix.way_of((key or b"").decode()))
    return way is not None and (way.policy == mix.HURRIED or _sampled(key, every))


def window_to_ship() -> timedelta:
    rules = believing("demo")
    return calendar.after(EPOCH, rules.processing, rules) - EPOCH
