"""The whole system in one process, on an in-memory bus with virtual time: previews, policy experiments and the fastest
tests. The same deciders, tables and shard loop as in production; the transport alone differs."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice

from deploy.stories.dialogue import EVENT_TOPICS, Case, Seen, hire_mediators
from schemas.payments import PayBack, PaymentEvent, PaymentSettled
from services.dispute.domain import DECIDER as DISPUTE
from services.mediation.domain import DECIDER as MEDIATION
from services.notification.domain import DECIDER as NOTIFICATION
from services.notification.store import MailList
from services.order.domain import DECIDER as ORDER
from services.refund.domain import DECIDER as REFUND
from services.refund.gateway import COMMANDS, Paid, PaymentCommand, answer
from services.timer.agenda import MemoryTable, TimerAgenda
from services.timer.domain import DECIDER as TIMER
from shared import codec, policies
from shared.agenda import Agenda
from shared.memory import MemoryBus, World
from shared.policies import Policies


async def compose(bus_partitions: int = 3) -> tuple[World, MailList]:
    """All six services and a payment provider; and the mails that were taken."""
    world = World(policies.load(), bus_partitions)
    mails = MailList()
    for decider in (ORDER, DISPUTE, MEDIATION, REFUND):
        await world.add(decider, Agenda())
    await world.add(NOTIFICATION, mails)
    await world.add(TIMER, TimerAgenda(MemoryTable()))
    world.strangers.append(_Provider(world.bus))
    return world, mails


class _Provider:
    """The payment service, answering at once: the sandbox's own rule, without its transport."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.paid: dict[str, Paid] = {}
        self._read: dict[int, int] = {}

    def __call__(self) -> bool:
        moved = False
        for partition in range(self.bus.partitions):
            log = self.bus.logs[PayBack.topic, partition]
            for record in islice(log, self._read.get(partition, 0), None):
                command = COMMANDS[codec.header(record.headers, "ce_type") or ""].read(record.value or b"")
                self._answer(command, codec.header(record.headers, "ce_id") or "")
                moved = True
            self._read[partition] = len(log)
        return moved

    def _answer(self, command: PaymentCommand, command_id: str) -> None:
        given = answer(self.paid.get(command.payment_key), command)
        if isinstance(given, PaymentSettled):
            self.paid[command.payment_key] = Paid(given.currency, given.amount_minor, given.provider_reference)
        headers = [("ce_id", f"provider/{command_id}".encode()), ("ce_type", given.type.encode())]
        topic = PaymentEvent.topic
        self.bus.append(topic, command.order_id.encode(), given.model_dump_json().encode(), headers)


class MemoryStage:
    """Stories on the in-memory composition: days pass in no time, and nothing takes longer than it should."""

    slack = timedelta(milliseconds=2)

    def __init__(self, world: World, policy: str) -> None:
        newest = world.policies.newest(policy)
        assert newest is not None
        self.world, self.rules = world, newest[1]
        self.cases: dict[str, Case] = {}
        self._read: dict[tuple[str, int], int] = {}

    def follow(self, case: Case) -> None:
        self.cases[case.order_id] = case

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes) -> None:
        self.world.bus.append(topic, key.encode(), value, headers)

    async def until(self, condition: Callable[[], bool], case: Case, within: timedelta) -> bool:
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


async def open_stage(policy: str) -> tuple[MemoryStage, MailList]:
    """A stage with mediators on duty."""
    world, mails = await compose()
    stage = MemoryStage(world, policy)
    await hire_mediators(stage, "memory")
    return stage, mails
