"""The queue of deliveries, in memory and on PostgreSQL: what its table keeps, and what becomes of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest

from deploy.local.stack import Stack
from schemas.common import Party
from schemas.mediation.shapes import Mediator
from schemas.notification.commands import NotificationResend
from schemas.notification.events import (
    LookupQueued,
    NotificationFailed,
    NotificationSent,
    Postponed,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.notification.shapes import Recipient, RecipientRole
from schemas.people import OwnWebhook, Person
from schemas.wire import Actor
from services import notification
from services.notification.domain import decider
from services.notification.people import AddressedWebhook
from services.notification.policy import RETRY_AFTER
from services.notification.projection import (
    AFTER_OUTAGE,
    OWN_QUEUES,
    TAKEN,
    TAKEN_MAX,
    UNREACHABLE,
    Channel,
    Delivery,
    DeliveryChange,
    MemoryDeliveryTable,
    QueueName,
    SendResult,
)
from services.notification.store import PostgresDeliveryTable
from shared.kernel.ports import Input
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import migrate
from tests.domain.notification_samples import SAMPLES, placed
from tests.domain.test_notification_letters import queued_for
from tests.domain.test_notification_webhooks import ALL, BOTH_CHANNELS
from tests.domain.test_notification_webhooks import queued as webhook
from tests.kit.shop import Rows, Shop
from tests.kit.stored_events import NOON
from tests.support.waiting import until_true

OWN = decider(mail=False, own_webhooks=True)
ABOUT_ALL: tuple[QueueName, ...] = ("webhook/buyer", "webhook/seller", "webhook/mediator")
BUSY = SendResult("refused", smtp_status=451)
GONE = SendResult("refused", smtp_status=550, final=True)


@pytest.fixture
async def rows(real: Stack | None) -> AsyncIterator[Rows]:
    if real is None:
        yield Rows(MemoryDeliveryTable())
        return
    schema = f"notification_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [Path(notification.__path__[0]) / "migrations"])
    pool = await create_pool(real.database_url, schema, 3)
    yield Rows(PostgresDeliveryTable(pool), pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


class Server:
    """The server of one channel. It answers as it is told, and while it is not `open` it takes its time."""

    def __init__(self, *queues: QueueName, at_once: int = 4) -> None:
        self.queues, self.at_once = queues, at_once
        self.result = TAKEN
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = self.waiting_max = 0
        self.tried: list[str] = []

    def channel(self) -> Channel[Any]:
        return Channel(self.queues, self._send, self._close, self.at_once)

    async def _send(self, queued: Queued | WebhookQueued, _: object) -> SendResult:
        self.waiting += 1
        self.waiting_max = max(self.waiting_max, self.waiting)
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        self.tried.append(queued.delivery_id)
        return self.result

    async def _close(self) -> None: ...


@pytest.fixture
async def mail() -> Server:
    return Server("email")


@pytest.fixture
async def hooks() -> Server:
    return Server(*ABOUT_ALL)


async def opened(shop: Shop, *shards: int) -> Shop:
    """Looked through for the first time, so that nothing of that is under way any more."""
    for shard in shards or (0,):
        await shop.queue.opened(shard)
    await shop.queue.settled()
    return shop


@pytest.fixture
async def shop(rows: Rows, mail: Server) -> AsyncIterator[Shop]:
    shop = await opened(Shop(rows, mail.channel()))
    yield shop
    await shop.queue.stop()


@pytest.fixture
async def both(rows: Rows, mail: Server, hooks: Server) -> AsyncIterator[Shop]:
    """With webhooks."""
    shop = await opened(Shop(rows, mail.channel(), hooks.channel(), decider=BOTH_CHANNELS))
    yield shop
    await shop.queue.stop()


@pytest.fixture
def looks(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """How often the queue was looked through, and for anything but what."""
    looks: list[tuple[str, ...]] = []
    following = rows.table.next

    async def watched(queues: Sequence[QueueName], shards: Sequence[int], but: Sequence[str], *page: Any) -> Any:
        looks.append(tuple(but))
        return await following(queues, shards, but, *page)

    monkeypatch.setattr(rows.table, "next", watched)
    return looks


# -- its table ---------------------------------------------------------------------------------------------------------


def letter(number: int, minutes: float = 0, shard: int = 0) -> Delivery:
    queued = queued_for(placed())["buyer"].model_copy(update={"delivery_id": f"d{number}"})
    return Delivery(shard, 0, NOON + timedelta(minutes=minutes), "story \N{SNOWMAN}", queued)


async def change(rows: Rows, **what: Any) -> None:
    if rows.pool is None:
        await rows.table.write(None, DeliveryChange(**what))
        return
    async with rows.pool.acquire() as connection, connection.transaction():
        await rows.table.write(connection, DeliveryChange(**what))


async def ids(rows: Rows, but: tuple[str, ...] = (), limit: int = 100, shards: tuple[int, ...] = (0, 1)) -> list[str]:
    return [one.id for one in await rows.table.next(("email",), shards, but, limit, ())]


async def test_what_is_queued_comes_back_as_it_was_the_earliest_first(rows: Rows) -> None:
    kept = [letter(1, 3), letter(2, 1, shard=1), letter(3, 2)]
    await change(rows, queued=kept)
    assert await rows.table.next(("email",), (0, 1), (), 100, ()) == [kept[1], kept[2], kept[0]]
    assert await ids(rows, limit=2) == ["d2", "d3"]


async def test_only_what_is_asked_for_is_found(rows: Rows) -> None:
    told = Delivery(0, 0, NOON, "story", webhook())
    await change(rows, queued=[letter(2), letter(3, 1), letter(4, shard=1), told])
    assert await ids(rows, but=("d3", "d9"), shards=(0,)) == ["d2"]
    assert await ids(rows, shards=()) == []
    assert await rows.table.next(ABOUT_ALL, (0, 1), (), 100, ()) == [told]


async def test_what_is_postponed_comes_later_and_what_has_ended_is_gone(rows: Rows) -> None:
    await change(rows, queued=[letter(1), letter(2), letter(1, shard=1)])
    at = NOON + timedelta(minutes=5)
    later = Postponed(
        order_id="order-1", delivery_id="d1", attempts=2, next_attempt_at=at, problem="unreachable", smtp_status=None
    )
    await change(rows, postponed=[(0, later)], ended=[(0, "d2"), (1, "d2")])
    elsewhere, postponed = await rows.table.next(("email",), (0, 1), (), 100, ())
    assert (elsewhere.shard, elsewhere.attempts, elsewhere.next_attempt_at) == (1, 0, NOON)
    assert (postponed.shard, postponed.attempts, postponed.next_attempt_at) == (0, 2, at)


# -- its way -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R49")
async def test_what_is_queued_is_sent_and_comes_back_as_sent(shop: Shop, mail: Server) -> None:
    await shop.order()
    await shop.settle()
    sent = shop.told()
    assert {one.role for one in sent} == {"buyer", "seller"}
    assert len(shop.of(NotificationSent)) == 1
    assert sorted(mail.tried) == sorted(one.delivery_id for one in sent)
    assert shop.pending() == {}
    assert shop.queue.next_due() is None


async def test_an_outcome_is_handed_out_once(shop: Shop, mail: Server) -> None:
    await shop.order()
    assert len(await shop.outcomes()) == 2
    assert await shop.outcomes() == []
    assert len(mail.tried) == 2


@pytest.mark.rule("R49")
async def test_what_was_queued_before_a_restart_is_sent_after_it(rows: Rows, mail: Server) -> None:
    before, anew = Shop(rows, mail.channel()), Shop(rows, mail.channel())
    await before.order()
    assert await before.outcomes() == []
    anew.streams = before.streams
    await (await opened(anew)).settle()
    assert len(anew.told()) == len(mail.tried) == 2


@pytest.mark.rule("R49")
async def test_a_repeat_after_a_crash_carries_the_same_id(rows: Rows, shop: Shop, mail: Server) -> None:
    await shop.order()
    assert len(await shop.outcomes()) == 2, "and they are never committed"
    anew = Shop(rows, mail.channel())
    anew.streams = shop.streams
    await (await opened(anew)).settle()
    assert sorted(Counter(mail.tried).values()) == [2, 2]


@pytest.mark.rule("R49")
async def test_what_could_not_be_sent_is_tried_again_at_its_instant_and_not_before(shop: Shop, mail: Server) -> None:
    mail.result = BUSY
    await shop.order()
    await shop.settle()
    assert [(one.attempts, one.smtp_status) for one in shop.of(Postponed)] == [(1, 451)] * 2
    assert shop.queue.next_due() == NOON + RETRY_AFTER[0]
    mail.result = TAKEN
    shop.wait(seconds=29.999)
    assert await shop.outcomes() == []
    shop.wait(seconds=0.001)
    outcomes = await shop.outcomes()
    assert [(one.id.rpartition("/")[2], one.time) for one in outcomes] == [("2", NOON + RETRY_AFTER[0])] * 2


@pytest.mark.rule("R49")
async def test_what_is_given_up_leaves_the_queue(rows: Rows, shop: Shop, mail: Server) -> None:
    mail.result = GONE
    await shop.order()
    await shop.settle()
    assert [one.smtp_status for one in shop.of(NotificationFailed)] == [550, 550]
    assert await ids(rows) == []


@pytest.mark.rule("R74")
async def test_what_finds_no_address_leaves_the_queue(rows: Rows, shop: Shop, mail: Server) -> None:
    """A mediator is told by the topic instead; what is for others is given up once they were looked for."""
    unaddressed = placed().model_copy(update={"buyer": Party(id="bea"), "seller": Party(id="sam")})
    await shop.hear(Input(unaddressed, unaddressed.type, "order-1", "placed", NOON, "story"))
    assigned = SAMPLES["mediation.assigned"].model_copy(update={"order_id": "order-1", "mediator": Mediator(id="max")})
    await shop.hear(Input(assigned, assigned.type, "order-1", "assigned", NOON, "story"))
    await shop.settle()
    assert len(await ids(rows)) == 2
    for pause in RETRY_AFTER[:3]:
        shop.now += pause
        await shop.settle()

    assert [(one.id, one.channel) for one in shop.told()] == [("max", "topic")]
    assert [(one.recipient.id, one.problem) for one in shop.of(NotificationFailed)] == [
        ("bea", "no_address"),
        ("sam", "no_address"),
    ]
    assert await ids(rows) == []
    assert mail.tried == []


async def test_a_shard_that_is_not_ours_is_left_alone(rows: Rows, mail: Server) -> None:
    shop = await opened(Shop(rows, mail.channel()), 0, 1)
    shop.queue.closed(1)
    await shop.order("order-1", shard=0)
    await shop.order("order-2", shard=1)
    await shop.settle(0)
    assert await shop.outcomes(1) == []
    assert len(mail.tried) == 2


async def test_what_cannot_be_written_is_a_problem_of_its_letter_alone(
    rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(queued: Queued, _: object) -> SendResult:
        raise ValueError(queued.email)

    async def close() -> None: ...

    shop = await opened(Shop(rows, Channel(("email",), broken, close, at_once=4)))
    await shop.order()
    assert [(one.problem, one.final) for one in await shop.attempts()] == [("unwritable", False)] * 2
    assert "cannot be made" in caplog.text
    assert "@" not in caplog.text


async def test_an_attempt_is_made_in_its_own_time(rows: Rows) -> None:
    times = []

    async def away(queued: Queued, now: Any) -> SendResult:
        times.append(now)
        return UNREACHABLE

    async def close() -> None: ...

    shop = await opened(Shop(rows, Channel(("email",), away, close, at_once=4)))
    await shop.order()
    await shop.settle()
    shop.wait(minutes=1)
    await shop.settle()
    assert times == [NOON] * 2 + [NOON + timedelta(minutes=1)] * 2


# -- when it is looked through -----------------------------------------------------------------------------------------


async def test_nothing_is_looked_up_while_there_is_nothing_to_do(
    shop: Shop, mail: Server, looks: list[tuple[str, ...]]
) -> None:
    mail.result = UNREACHABLE
    await shop.order()
    await shop.settle()
    looks.clear()
    for _ in range(100):
        shop.wait(seconds=0.1)
        assert await shop.outcomes() == []
        assert shop.queue.next_due() == NOON + RETRY_AFTER[0]
    assert looks == []
    shop.wait(seconds=20)
    shop.queue.due(shop.now, 0)
    assert shop.queue.next_due() is None, "it is being looked through: nobody need ask again before"
    assert len(await shop.outcomes()) == 2
    assert len(looks) == 1


async def test_what_is_committed_while_it_is_looked_through_is_found(
    shop: Shop, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    following, found, go_on = rows.table.next, asyncio.Event(), asyncio.Event()

    async def slow(*page: Any) -> list[Delivery]:
        deliveries = await following(*page)
        found.set()
        await go_on.wait()
        return deliveries

    await shop.queue.settled()
    monkeypatch.setattr(rows.table, "next", slow)
    await shop.order()
    await found.wait()
    await shop.order("order-2")
    go_on.set()
    await shop.settle()
    assert len(shop.told()) == 4


async def test_what_has_ended_is_left_out_no_longer(shop: Shop, looks: list[tuple[str, ...]]) -> None:
    await shop.order()
    await shop.settle()
    shop.wait(seconds=1)
    await shop.order("order-2")
    await shop.queue.settled()
    assert looks == [(), ()]


async def test_after_an_outage_it_is_looked_through_again_a_second_later(
    rows: Rows, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: object) -> list[Delivery]:
        raise OSError("the database is away")

    with monkeypatch.context() as outage:
        outage.setattr(rows.table, "next", away)
        await shop.order()
        assert await shop.outcomes() == []
        assert shop.queue.next_due() == NOON + AFTER_OUTAGE
        shop.wait(seconds=1)
        assert await shop.outcomes() == []
        assert shop.queue.next_due() == NOON + 2 * AFTER_OUTAGE
    assert "cannot be read" in caplog.text
    assert await shop.outcomes() == [], "not before a second is over"
    shop.wait(seconds=1)
    await shop.settle()
    assert len(shop.told()) == 2


async def test_an_outage_of_one_channels_rows_is_not_anothers(
    both: Shop, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = rows.table.next

    async def no_letters(queues: Sequence[QueueName], *page: Any) -> list[Delivery]:
        if "email" in queues:
            raise ValueError("a row that nobody can read")
        return await following(queues, *page)

    monkeypatch.setattr(rows.table, "next", no_letters)
    await both.order()
    await both.settle()
    assert [one.told.channel for one in both.of(Taken)] == ["webhook"] * 2


# -- how many at a time ------------------------------------------------------------------------------------------------


async def test_however_many_wait_only_a_page_is_in_memory_and_few_are_under_way(shop: Shop, mail: Server) -> None:
    mail.open.clear()
    for number in range(TAKEN_MAX):
        await shop.order(f"order-{number}")
    await until_true(lambda: mail.waiting == 4)
    await shop.order("one-more")
    await asyncio.sleep(0.1)
    [channel] = shop.queue.channels
    assert TAKEN_MAX // 2 < len(channel.sending) <= TAKEN_MAX
    mail.open.set()
    await shop.settle()
    assert mail.waiting_max == 4
    assert len(mail.tried) == len(set(mail.tried)) == 2 * TAKEN_MAX + 2
    assert len(shop.told()) == 2 * TAKEN_MAX + 2


async def test_outcomes_that_wait_with_their_orders_hold_up_nothing(shop: Shop, mail: Server) -> None:
    for number in range(TAKEN_MAX):
        await shop.order(f"order-{number}")
    parked = [outcome for _ in range(5) for outcome in await shop.outcomes()]
    assert len({one.id for one in parked}) == len(parked) == 2 * TAKEN_MAX


@pytest.mark.rule("R49")
@pytest.mark.parametrize("hangs", ["email", "webhook"])
async def test_a_server_that_hangs_holds_up_no_other_channel(
    both: Shop, mail: Server, hooks: Server, hangs: str
) -> None:
    hanging, other = (mail, hooks) if hangs == "email" else (hooks, mail)
    hanging.open.clear()
    orders = TAKEN_MAX // 2 + 10  # of two deliveries each: more than are taken from the queue at once
    for number in range(orders):
        await both.order(f"order-{number}")
        for outcome in both.queue.due(both.now, 0):
            await both.hear(outcome)

    def sent() -> bool:
        return len(other.tried) == 2 * orders

    while not sent():
        await until_true(lambda: sent() or both.queue.next_due() is not None)
        for outcome in both.queue.due(both.now, 0):
            await both.hear(outcome)
    assert hanging.tried == []
    hanging.open.set()
    await both.settle()
    assert Counter(one.channel for one in both.told()) == {"email": 2 * orders, "webhook": 2 * orders}
    assert len(set(hanging.tried)) == len(hanging.tried) == 2 * orders


@pytest.mark.rule("R80")
async def test_an_endpoint_that_hangs_holds_up_no_other(rows: Rows) -> None:
    slow, other = Server("webhook/buyer"), Server("webhook/seller", "webhook/mediator")
    slow.open.clear()
    shop = await opened(Shop(rows, slow.channel(), other.channel(), decider=decider(mail=False, webhooks=ALL)))
    orders = TAKEN_MAX + 10  # more than are taken from the queue at once
    for number in range(orders):
        await shop.order(f"order-{number}")
    while len(other.tried) < orders:
        await until_true(lambda: len(other.tried) == orders or shop.queue.next_due() is not None)
        for outcome in shop.queue.due(shop.now, 0):
            await shop.hear(outcome)
    assert slow.tried == []
    slow.open.set()
    await shop.settle()
    told = Counter(one.role for one in shop.told() if one.channel == "webhook")
    assert told == {"buyer": orders, "seller": orders}
    await shop.queue.stop()


@pytest.mark.rule("R80")
async def test_the_queues_of_a_channel_are_emptied_together_the_earliest_first(rows: Rows) -> None:
    told: dict[QueueName, Delivery] = {}
    for number, role in enumerate(get_args(RecipientRole)):
        queued = webhook(role).model_copy(update={"delivery_id": role})
        told[ABOUT_ALL[number]] = Delivery(0, 0, NOON - timedelta(minutes=number), "story", queued)
    await change(rows, queued=[*told.values(), letter(1, -9)])
    assert {one.queue: one for one in told.values()} == told
    found = await rows.table.next(("webhook/buyer", "webhook/mediator"), (0, 1), (), 100, ())
    assert [one.id for one in found] == ["mediator", "buyer"]


# -- people's own webhooks ---------------------------------------------------------------------------------------------


def own(number: int, endpoint_id: str = "a", minutes: float = 0, shard: int = 0) -> Delivery:
    queued = webhook().model_copy(update={"delivery_id": f"o{number}", "endpoint_id": endpoint_id})
    return Delivery(shard, 0, NOON + timedelta(minutes=minutes), "story", queued)


def lookup(number: int, minutes: float = 0) -> Delivery:
    told = webhook().model_dump(exclude={"delivery_id", "endpoint_id"})
    queued = LookupQueued.model_validate({**told, "delivery_id": f"l{number}"})
    return Delivery(0, 0, NOON + timedelta(minutes=minutes), "story", queued)


@pytest.mark.rule("R74")
async def test_what_goes_to_peoples_own_waits_by_itself_and_comes_back_as_it_was(rows: Rows) -> None:
    kept = [own(1, "b", 2), lookup(2, 1), own(3, "a", shard=1)]
    await change(rows, queued=[letter(9), Delivery(0, 0, NOON, "story", webhook()), *kept])
    assert await rows.table.next(OWN_QUEUES, (0, 1), (), 100, ()) == [kept[2], kept[1], kept[0]]
    assert await ids(rows) == ["d9"]
    assert [one.id for one in await rows.table.next(ABOUT_ALL, (0, 1), (), 100, ())] == ["d1"]


@pytest.mark.rule("R80")
async def test_what_goes_to_an_endpoint_that_is_spoken_to_is_left_out(rows: Rows) -> None:
    seller = webhook("seller").model_copy(update={"delivery_id": "o4", "endpoint_id": "a"})
    seller = seller.model_copy(update={"recipient": Recipient(role="seller", id="a/bea")})
    await change(
        rows, queued=[own(1), own(2, "b", 1), lookup(3, 2), Delivery(0, 0, NOON + timedelta(hours=1), "story", seller)]
    )

    async def found(*busy: str) -> list[str]:
        return [one.id for one in await rows.table.next(OWN_QUEUES, (0, 1), (), 100, busy)]

    assert await found() == ["o1", "o2", "l3", "o4"]
    assert await found("bea/a") == ["o2", "l3", "o4"]
    assert await found("bea/b", "a/bea/a") == ["o1", "l3"]


class OwnServers:
    """Of people's own endpoints. One that hangs answers nobody."""

    def __init__(self, hangs: str = "") -> None:
        self.hangs, self.open = hangs, asyncio.Event()
        self.tried: list[tuple[str, str]] = []
        self.waiting: Counter[str] = Counter()
        self.waiting_max: Counter[str] = Counter()

    def channel(self) -> Channel[Any]:
        return Channel(OWN_QUEUES, self._send, self._close, TAKEN_MAX)

    async def _send(self, webhook: AddressedWebhook, _: object) -> SendResult:
        self.waiting[webhook.url] += 1
        self.waiting_max |= self.waiting
        await asyncio.sleep(0)
        if self.hangs and webhook.url.endswith(self.hangs):
            await self.open.wait()
        self.waiting[webhook.url] -= 1
        self.tried.append((webhook.url, webhook.queued.delivery_id))
        return TAKEN

    async def _close(self) -> None: ...


def person(person_id: str, *endpoint_ids: str) -> Person:
    webhooks = [OwnWebhook(endpoint_id=one, url=f"https://{person_id}.example/{one}") for one in endpoint_ids]
    return Person(person_id=person_id, webhooks=tuple(webhooks))


@pytest.mark.rule("R74")
async def test_each_endpoint_of_a_person_is_told_once_and_who_has_none_is_told_nothing(rows: Rows) -> None:
    servers = OwnServers()
    shop = await opened(Shop(rows, servers.channel(), decider=OWN))
    await shop.people.write(None, [person("bea", "a", "b"), person("sam")])
    await shop.order()
    await shop.settle()

    assert sorted(url for url, _ in servers.tried) == ["https://bea.example/a", "https://bea.example/b"]
    sent = [one for one in shop.told() if one.channel == "webhook"]
    assert sorted((one.id, one.endpoint_id or "") for one in sent) == [("bea", "a"), ("bea", "b")]
    assert {id_ for _, id_ in servers.tried} == {one.delivery_id for one in sent}
    assert shop.pending() == {}
    assert await rows.table.next(OWN_QUEUES, (0,), (), 100, ()) == []
    await shop.queue.stop()


@pytest.mark.rule("R80")
async def test_an_endpoint_of_somebodys_own_that_hangs_delays_itself_alone(rows: Rows) -> None:
    servers = OwnServers(hangs="/slow")
    shop = await opened(Shop(rows, servers.channel(), decider=OWN))
    await shop.people.write(None, [person("bea", "slow", "quick"), person("sam", "quick")])
    orders = TAKEN_MAX + 10  # more than are taken from the queue at once
    for number in range(orders):
        await shop.order(f"order-{number}")

    def told() -> int:
        return len(servers.tried)

    while told() < 2 * orders:
        await until_true(lambda: told() == 2 * orders or shop.queue.next_due() is not None)
        for outcome in shop.queue.due(shop.now, 0):
            await shop.hear(outcome)
    assert servers.waiting["https://bea.example/slow"] == 1
    servers.open.set()
    await shop.settle()
    assert Counter(url for url, _ in servers.tried) == {
        "https://bea.example/slow": orders,
        "https://bea.example/quick": orders,
        "https://sam.example/quick": orders,
    }
    assert set(servers.waiting_max.values()) == {1}, "one at a time to each"
    assert len({id_ for _, id_ in servers.tried}) == 3 * orders
    await shop.queue.stop()


# -- again -------------------------------------------------------------------------------------------------------------


async def resent(shop: Shop, order_id: str = "order-1", **what: Any) -> list[Any]:
    wish = NotificationResend(order_id=order_id, actor=Actor(role="operator", id="olga"), **what)
    found = Input(wish, wish.type, order_id, f"resend-{shop.now}", shop.now, "story", own=True, digest=b"d")
    return await shop.hear(found)


@pytest.mark.rule("R80")
async def test_what_was_given_up_goes_out_again_under_its_id_when_an_operator_says_so(
    rows: Rows, shop: Shop, mail: Server
) -> None:
    mail.result = GONE
    await shop.order()
    await shop.settle()
    assert shop.pending() == {}
    mail.result = BUSY
    await resent(shop)
    await shop.settle()
    assert [one.attempts for one in shop.of(Postponed)] == [2, 2], "ids of attempts are never used twice"
    assert [one.attempts for one in await rows.table.next(("email",), (0,), (), 9, ())] == [2, 2]
    mail.result = TAKEN
    shop.wait(seconds=RETRY_AFTER[0].total_seconds())
    await shop.settle()
    sent, failed = shop.told(), shop.of(NotificationFailed)
    assert [one.attempts for one in sent] == [3, 3]
    assert {one.delivery_id for one in sent} == {one.delivery_id for one in failed}
    assert sorted(Counter(mail.tried).values()) == [3, 3]
    assert await ids(rows) == []


@pytest.mark.rule("R80")
async def test_what_waits_for_its_next_attempt_is_tried_at_once_when_an_operator_says_so(
    rows: Rows, shop: Shop, mail: Server
) -> None:
    mail.result = BUSY
    await shop.order()
    await shop.settle()
    mail.result = TAKEN
    shop.wait(seconds=1)
    await resent(shop)
    await shop.settle()
    assert [one.attempts for one in shop.told()] == [2, 2]
    assert sorted(Counter(mail.tried).values()) == [2, 2]
    assert await ids(rows) == []


# -- whose it is -------------------------------------------------------------------------------------------------------


async def test_a_letter_that_waits_its_turn_is_not_sent_for_a_lost_shard(shop: Shop, mail: Server) -> None:
    mail.open.clear()
    for number in range(5):
        await shop.order(f"order-{number}")
    await until_true(lambda: mail.waiting == 4)
    shop.queue.closed(0)
    mail.open.set()
    assert await shop.outcomes() == []
    assert len(mail.tried) == 4


async def test_what_was_begun_before_the_shard_changed_hands_counts_no_more_and_is_sent_again(
    shop: Shop, mail: Server
) -> None:
    mail.open.clear()
    await shop.order()
    await until_true(lambda: mail.waiting == 2)
    shop.queue.closed(0)
    await shop.queue.opened(0)
    mail.open.set()
    await shop.settle()
    assert sorted(Counter(mail.tried).values()) == [2, 2]
    assert len(shop.told()) == 2


async def test_an_outcome_that_was_not_asked_for_in_time_is_forgotten_with_its_shard(shop: Shop, mail: Server) -> None:
    await shop.order()
    await shop.queue.settled()
    shop.queue.closed(0)
    assert shop.queue.next_due() is None
    assert await shop.outcomes() == []


async def test_outcomes_of_a_lost_shard_hold_up_no_other(rows: Rows, mail: Server) -> None:
    shop = await opened(Shop(rows, mail.channel()), 0, 1)
    for number in range(TAKEN_MAX // 2):
        await shop.order(f"order-{number}", shard=1)
    await shop.queue.settled()
    await shop.order("order-x", shard=0)
    await shop.queue.settled()
    assert TAKEN_MAX // 2 < len(mail.tried) <= TAKEN_MAX
    shop.queue.closed(1)
    await shop.settle(0)
    assert len(shop.told()) == 2


async def test_what_is_handed_out_and_lost_is_sent_again_with_the_next_claim(shop: Shop, mail: Server) -> None:
    await shop.order()
    assert len(await shop.outcomes()) == 2
    shop.queue.closed(0)
    await shop.queue.opened(0)
    await shop.settle()
    assert len(shop.told()) == 2
    assert sorted(Counter(mail.tried).values()) == [2, 2]


async def test_once_stopped_it_begins_nothing_more(shop: Shop, mail: Server) -> None:
    mail.open.clear()
    for number in range(5):
        await shop.order(f"order-{number}")
    await until_true(lambda: mail.waiting == 4)
    await shop.queue.stop()
    mail.open.set()
    await shop.order("order-9")
    assert await shop.outcomes() == []
    assert mail.tried == []
