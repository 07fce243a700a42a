"""The platform's payment service, which answers when it likes: twice, late, never or wrongly, as its script says."""

import asyncio
from functools import partial
from itertools import islice

from deploy.payments.provider import Answer, Provider
from deploy.payments.records import answers
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentEvent
from tests.simulation.world import World

DAYS_LATE_MAX = 3
A_MOMENT = 0.001
ASLEEP = 0.1
"""Virtual seconds after which whoever cannot work just now looks again."""


class PaymentService:
    def __init__(self, world: World) -> None:
        self.world, self.provider = world, Provider()
        self.to_say = 0
        """Answers under way."""
        self._read: dict[int, int] = {}
        self._said = 0
        self._news = asyncio.Event()
        world.bus.listen([PaymentCommand.topic], self._news.set)
        self.work = asyncio.create_task(self._answer())

    def idle(self) -> bool:
        """It has heard everything and owes nobody an answer."""
        read = all(
            self._read.get(partition, 0) == len(self.world.bus.logs.get((PaymentCommand.topic, partition), ()))
            for partition in range(self.world.bus.partitions)
        )
        return read and not self.to_say

    async def _answer(self) -> None:
        world = self.world
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(max(0, self._away_until() - world.now(), world.hesitation()))
            for partition in range(world.bus.partitions):
                calls = world.bus.logs.get((PaymentCommand.topic, partition), [])
                unread = list(islice(calls, self._read.get(partition, 0), None))
                self._read[partition] = len(calls)
                for call in unread:
                    said = -A_MOMENT
                    for answer in answers(self.provider, call):
                        # Two words of one call in their order: he takes nothing back that he has not said.
                        said = max(said + A_MOMENT, answer.after.total_seconds() + world.hesitation())
                        self._say_later(answer, self._new_id(answer), said)
                        if not world.calm and world.chance.random() < 0.03:
                            self._repeat(answer)

    def _new_id(self, answer: Answer) -> str:
        self._said += 1
        return f"{answer.call_id}/{self._said}"

    def _repeat(self, answer: Answer) -> None:
        """After days, across attempts perhaps: said anew, or the very record of before."""
        chance = self.world.chance
        again = self._new_id(answer) if chance.random() < 0.5 else f"{answer.call_id}/{self._said}"
        self._say_later(answer, again, chance.uniform(0, DAYS_LATE_MAX * self.world.plan.day))

    def _away_until(self) -> float:
        return max(self.world.provider_away_until, self.world.broker_down_until)

    def _say_later(self, answer: Answer, id_: str, after: float) -> None:
        self.to_say += 1
        asyncio.get_running_loop().call_later(after, partial(self._say, answer, id_))

    def _say(self, answer: Answer, id_: str) -> None:
        world, loop = self.world, asyncio.get_running_loop()
        if world.now() < world.broker_down_until:
            loop.call_later(ASLEEP + world.broker_down_until - world.now(), self._say, answer, id_)
            return
        self.to_say -= 1
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id_.encode()),
            ("ce_type", answer.said.type.encode()),
            ("ce_source", b"payments"),
            ("ce_causationid", answer.call_id.encode()),
        ]
        value = answer.said.model_dump_json().encode()
        world.bus.append(PaymentEvent.topic, answer.said.order_id.encode(), value, headers)
