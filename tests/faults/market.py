"""A market of many orders at once, over Kafka alone, whose people keep talking whatever falls over meanwhile."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from deploy.stories.claims import BROKEN
from deploy.stories.dialogue import MEDIATORS, refund
from deploy.stories.seen import EVENT_TOPICS, Seen
from schemas.wire import MEDIATORS_KEY
from shared.runtime.kafka.connection import CLIENT_ERRORS
from tests.support.commands import Given, command
from tests.support.topics import producer, reader

ENDED = ("order.completed", "order.cancelled")
PAID = 100_00
SAID_TWICE_EVERY = 10
PATIENCE = timedelta(minutes=4)
"""How long an answer may take, with the processes that should give it killed again and again."""


class GaveUp(AssertionError):
    """Somebody waited in vain."""


class Order:
    """One order and all that was heard of it, each event once."""

    def __init__(self, market: "Market", order_id: str, policy: str) -> None:
        self.market, self.id, self.policy = market, order_id, policy
        self.heard: list[Seen] = []
        self._said = 0

    async def says(self, name: str, role: str, **data: Any) -> str:
        """Gives a command and returns its answer: a type, or the code of a refusal, which is as good as any."""
        self._said += 1
        command_id = f"{self.id}/{self._said}"
        person = data.pop("person", self.person(role))
        await self.market.send(command(f"{name}.v1", self.id, role, person, data, command_id))
        answer = await self.hears(lambda seen: seen.causation_id == command_id, f"an answer to {name}")
        return str(answer.data["code"]) if answer.type.endswith(".rejected") else answer.type

    def person(self, role: str) -> str:
        """Who usually speaks in that role."""
        return "checkout" if role == "platform" else f"{role}-{self.id}"

    async def hears(self, wanted: Callable[[Seen], bool], what: str) -> Seen:
        def found() -> Seen | None:
            return next((seen for seen in self.heard if wanted(seen)), None)

        try:
            async with asyncio.timeout(self.market.patience.total_seconds()), self.market.news:
                await self.market.news.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise GaveUp(f"{self.id} waited for {what}; last it heard {self.heard[-1:]}") from None
        seen = found()
        assert seen is not None
        return seen

    async def hears_of(self, *types: str, **fields: Any) -> Seen:
        """The first such event, or the end of the order: time may have overtaken who was too slow."""
        return await self.hears(
            lambda seen: (
                seen.type in ENDED
                or (seen.type in types and all(seen.data.get(name) == value for name, value in fields.items()))
            ),
            " or ".join(types),
        )

    async def ends(self) -> None:
        await self.hears(lambda seen: seen.type in ENDED, "its end")

    # -- what people say ---------------------------------------------------------------------------------------------

    async def place(self) -> None:
        """And it is paid, where the policy waits for that."""
        email = {
            role: {"id": f"{role}-{self.id}", "email": f"{role}-{self.id}@example.com"} for role in ("buyer", "seller")
        }
        await self.says(
            "order.place",
            "platform",
            **email,
            currency="EUR",
            lines=[{"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": PAID}],
            payment={"payment_id": f"payment-{self.id}", "amount_minor": PAID},
            policy=self.policy,
        )
        if any(seen.data.get("status") == "awaiting_payment" for seen in self.heard):
            await self.hears_of("order.paid")

    async def ship(self) -> None:
        await self.place()
        await self.says("order.ship", "seller", carrier="Cainiao", tracking_number=f"LP-{self.id}")

    async def dispute(self, dispute_id: str = "d1") -> None:
        await self.says("dispute.open", "buyer", dispute_id=dispute_id, terms=refund(PAID), **BROKEN)
        await self.hears_of("dispute.opened", "dispute.open_refused", dispute_id=dispute_id)

    async def agree(self, dispute_id: str, minor: int) -> None:
        await self.says("dispute.offer", "seller", dispute_id=dispute_id, terms=refund(minor))
        offer = await self.hears_of("dispute.offer_made", "dispute.open_refused", dispute_id=dispute_id, by="seller")
        offer_id = offer.data.get("offer_id", 1)
        await self.says("dispute.accept_offer", "buyer", dispute_id=dispute_id, offer_id=offer_id)


class Market:
    """`async with Market(bootstrap_servers) as market:` follows all events; what it says is said until acknowledged."""

    def __init__(self, bootstrap_servers: str, patience: timedelta = PATIENCE) -> None:
        self.bootstrap_servers, self.patience = bootstrap_servers, patience
        self.orders: dict[str, Order] = {}
        self.news = asyncio.Condition()
        self.sent = 0
        self.said_again = 0
        self.heard: Counter[str] = Counter()
        self._producer: Any = None
        self._connecting = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Market":
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._producer is not None:
            await self._producer.stop()

    def order(self, order_id: str, policy: str = "demo") -> Order:
        self.orders[order_id] = Order(self, order_id, policy)
        return self.orders[order_id]

    async def open(self) -> None:
        """Somebody is there to judge."""
        roster = self.order(MEDIATORS_KEY)
        for name in MEDIATORS:
            await roster.says(
                "mediation.register_mediator", "operator", person="olga", mediator_id=name, capacity=1_000
            )
        del self.orders[MEDIATORS_KEY]

    async def send(self, given: Given) -> None:
        """Until it is acknowledged; who is not sure says the same again, under the same id. Some always do."""
        self.sent += 1
        times = 2 if self.sent % SAID_TWICE_EVERY == 0 else 1
        self.said_again += times - 1
        while times:
            client: Any = None
            try:
                client = await self._connected()
                await client.send_and_wait(given.topic, given.value, key=given.key, headers=given.headers)
                times -= 1
            except CLIENT_ERRORS:
                self.said_again += 1
                await self._give_up(client)
                await asyncio.sleep(0.3)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._producer is None:
                client = producer(self.bootstrap_servers, enable_idempotence=True, request_timeout_ms=5_000)
                await client.start()
                self._producer = client
            return self._producer

    async def _give_up(self, client: Any) -> None:
        async with self._connecting:
            if client is None or client is not self._producer:
                return
            self._producer = None
        with contextlib.suppress(*CLIENT_ERRORS):
            await asyncio.wait_for(client.stop(), timeout=1)

    async def _listen(self) -> None:
        known: set[str] = set()
        while True:
            try:
                async with reader(self.bootstrap_servers, *EVENT_TOPICS) as events:
                    async for records in events.follow():
                        for record in records:
                            seen = Seen.of(record)
                            if seen.id not in known:
                                known.add(seen.id)
                                self._take(record.key.decode(), seen)
                        async with self.news:
                            self.news.notify_all()
            except CLIENT_ERRORS:
                await asyncio.sleep(0.3)  # from the beginning again: what is known is known

    def _take(self, key: str, seen: Seen) -> None:
        self.heard[seen.type] += 1
        if key in self.orders:
            self.orders[key].heard.append(seen)


# -- how an order may go: it ends by itself if nobody is in time -------------------------------------------------------


async def cancelled(order: Order) -> None:
    await order.place()
    await order.says("order.cancel", "buyer")


async def never_shipped(order: Order) -> None:
    await order.place()


async def confirmed(order: Order) -> None:
    await order.ship()
    await order.says("order.confirm_receipt", "buyer")


async def agreed(order: Order) -> None:
    await order.ship()
    await order.dispute()
    await order.agree("d1", 30_00)


async def disputed_again(order: Order) -> None:
    await order.ship()
    await order.dispute()
    await order.says("dispute.cancel", "buyer", dispute_id="d1", expect="reopenable")
    await order.hears_of("order.lines_unfrozen", "dispute.closed", "dispute.open_refused")
    await order.dispute("d2")
    await order.agree("d2", PAID)
    await order.says("order.confirm_receipt", "buyer")


async def judged(order: Order) -> None:
    await order.ship()
    await order.dispute()
    await order.says("dispute.reject", "seller", dispute_id="d1")
    await order.says("dispute.escalate", "buyer", dispute_id="d1")
    assigned = await order.hears_of("mediation.assigned", "dispute.open_refused", "dispute.closed")
    if assigned.type == "mediation.assigned":
        await order.says(
            "mediation.decide",
            "mediator",
            person=assigned.data["mediator"]["id"],
            dispute_id="d1",
            refund_minor=40_00,
            return_required=False,
            rationale="Half broken, half paid.",
            rules=[],
            evidence_ids=[],
        )
        await order.hears_of("dispute.decided", "dispute.closed")
        for role in ("buyer", "seller"):
            await order.says("dispute.waive_appeal", role, dispute_id="d1")


async def arbitration_cancelled(order: Order) -> None:
    await order.ship()
    await order.dispute()
    await order.says("dispute.reject", "seller", dispute_id="d1")
    await order.says("dispute.escalate", "buyer", dispute_id="d1")
    await order.hears_of("mediation.opened", "dispute.open_refused", "dispute.closed")
    await order.says("mediation.cancel", "buyer", dispute_id="d1", expect="released_to_seller")


async def seller_silent(order: Order) -> None:
    await order.ship()
    await order.dispute()


async def shipped_and_silent(order: Order) -> None:
    await order.ship()


Way = Callable[[Order], Awaitable[None]]
QUICK: tuple[Way, ...] = (cancelled, confirmed, agreed, disputed_again, judged, arbitration_cancelled, never_shipped)
SLOW: tuple[Way, ...] = (*QUICK, seller_silent, shipped_and_silent)
OBEYED: tuple[Way, ...] = (cancelled, confirmed, agreed, judged, arbitration_cancelled)
"""Under a policy whose windows are days nothing of this is ever refused, however slow the services are."""


class Traffic:
    """Orders of a market, begun in groups: each goes the next of these ways, to its end."""

    def __init__(self, market: Market, ways: Sequence[Way], group: int, policy: str = "demo") -> None:
        self.market, self.group, self.policy = market, group, policy
        self.orders: list[Order] = []
        self._next = itertools.cycle(ways)
        self._playing: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        for _ in range(self.group):
            way = next(self._next)
            name = f"{way.__name__.replace('_', '-')}-{len(self.market.orders)}"
            self.orders.append(self.market.order(name, self.policy))
            self._playing.append(asyncio.create_task(self._play(way, self.orders[-1])))

    @staticmethod
    async def _play(way: Way, order: Order) -> None:
        await way(order)
        await order.ends()

    @contextlib.asynccontextmanager
    async def flowing(self, every: float, under_way_max: int | None = None) -> AsyncIterator[None]:
        """A group is begun every so many seconds; none while so many orders are under way, or a machine that is slow
        today gets ever more of them to carry, and comes to nothing else."""

        async def flow() -> None:
            while True:
                if under_way_max is None or sum(not one.done() for one in self._playing) < under_way_max:
                    self.begin()
                await asyncio.sleep(every)

        flowing = asyncio.create_task(flow())
        try:
            yield
        finally:
            flowing.cancel()

    async def end(self) -> None:
        """Everybody has said what he had to say, and every order has ended."""
        await asyncio.gather(*self._playing)

    def refused(self) -> list[str]:
        """What people said and was not obeyed, and why not."""
        return [
            f"{order.id}: {seen.data['refused']} {seen.data['code']}"
            for order in self.orders
            for seen in order.heard
            if seen.type.endswith(".rejected") and seen.causation_id.startswith(f"{order.id}/")
        ]
