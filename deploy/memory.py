"""The whole system in one process, on an in-memory bus with virtual time: previews, policy experiments and the fastest
tests. The same deciders, tables and shard loop as in production; the transport alone differs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from deploy.payments.provider import Answer, Provider
from deploy.payments.records import answers, written
from deploy.recipients import MailServer, OwnEndpoints, WebhookEndpoint
from deploy.stories.dialogue import PlayedOrder, hire_mediators
from deploy.stories.seen import EVENT_TOPICS, Seen
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentEvent
from services.composition import compose
from shared.kernel.policies import Policies
from shared.kernel.ports import Record
from shared.rules import policies
from shared.runtime.memory import MemoryBus, World


async def whole_system(
    bus_partitions: int = 3,
    webhooks: WebhookEndpoint | None = None,
    known: Policies | None = None,
    own: OwnEndpoints | None = None,
) -> tuple[World, MailServer]:
    """All six services, a payment provider and a mail server; with an endpoint, it is told what people are told, and
    people's own what their owners are. `known`: the policies in force, if not all that are published."""
    world = World(known or policies.load(), bus_partitions)
    mails = MailServer()
    await compose(world, [mails.channel(), *(one.channel() for one in (webhooks, own) if one is not None)])
    world.external_systems.append(MemoryPaymentService(world.bus))
    return world, mails


class MemoryPaymentService:
    """The stand-in for the platform's payment service, without its transport."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.provider = Provider()
        self._read: dict[int, int] = {}
        self._to_say: list[tuple[datetime, Answer]] = []

    def act(self) -> bool:
        calls = [record for partition in range(self.bus.partitions) for record in self._unread(partition)]
        for call in calls:
            self._to_say += [(self.bus.now + answer.after, answer) for answer in answers(self.provider, call)]
        due = [answer for at, answer in self._to_say if at <= self.bus.now]
        self._to_say = [(at, answer) for at, answer in self._to_say if at > self.bus.now]
        for answer in due:
            self.bus.append(PaymentEvent.topic, *written(answer))
        return bool(calls or due)

    def next_due(self) -> datetime | None:
        return min((at for at, _ in self._to_say), default=None)

    def _unread(self, partition: int) -> Iterator[Record]:
        log = self.bus.logs[PaymentCommand.topic, partition]
        yield from islice(log, self._read.get(partition, 0), None)
        self._read[partition] = len(log)


class MemoryStage:
    """Stories on the in-memory composition: days pass in no time, and nothing takes longer than it should."""

    slack = timedelta(milliseconds=2)
    payments_follow_scripts = True

    def __init__(self, world: World, policy: str) -> None:
        newest = world.policies.newest(policy)
        assert newest is not None
        self.world, self.rules = world, newest[1]
        self.cases: dict[str, PlayedOrder] = {}
        self._read: dict[tuple[str, int], int] = {}

    def follow(self, case: PlayedOrder) -> None:
        self.cases[case.order_id] = case

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes | None) -> None:
        self.world.bus.append(topic, key.encode(), value, headers)

    async def until(self, condition: Callable[[], bool], case: PlayedOrder, within: timedelta) -> bool:
        end = self.world.bus.now + within
        await self.world.settle()
        self._listen()
        while not condition():
            due = self.world.next_due()
            if due is None or due > end:
                return False
            await self.world.wait(max(due - self.world.bus.now, timedelta(0)))
            self._listen()
        return True

    async def sleep(self, duration: timedelta) -> None:
        await self.world.wait(duration)
        self._listen()

    async def publish(self, file: str, content: bytes) -> None:
        ref, rules = policies.read(file, content)
        self.world.policies = Policies({**self.world.policies.by_ref, ref: rules})
        for loop in self.world.loops:
            loop.policies = self.world.policies

    def _listen(self) -> None:
        for topic in EVENT_TOPICS:
            for partition in range(self.world.bus.partitions):
                log = self.world.bus.logs[topic, partition]
                for record in islice(log, self._read.get((topic, partition), 0), None):
                    case = self.cases.get((record.key or b"").decode())
                    if case is not None:
                        case.seen.append(Seen.of(record))
                self._read[topic, partition] = len(log)


async def open_stage(
    policy: str,
    webhooks: WebhookEndpoint | None = None,
    version: int | None = None,
    own: OwnEndpoints | None = None,
) -> tuple[MemoryStage, MailServer]:
    """A stage with mediators on duty. `version`: of the policy, as it was when no later one was published."""
    world, mails = await whole_system(webhooks=webhooks, known=_when_newest(policy, version), own=own)
    stage = MemoryStage(world, policy)
    await hire_mediators(stage, "memory")
    return stage, mails


def _when_newest(name: str, version: int | None) -> Policies:
    """An order gets the newest version there is."""
    known = policies.load()
    if version is None:
        return known
    return Policies({ref: one for ref, one in known.by_ref.items() if ref.name != name or ref.version <= version})
