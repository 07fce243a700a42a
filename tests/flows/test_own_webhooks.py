"""People's own webhooks from the order's first event to its last, on the in-memory composition (R74)."""

import logging
import re
from datetime import timedelta
from typing import Any

import pytest

from deploy.memory import open_stage
from deploy.recipients import OwnEndpoints, WebhookEndpoint
from deploy.stories.claims import decision
from deploy.stories.dialogue import Participant
from schemas.people import OWN_WEBHOOKS_MAX
from services.notification.people import AddressedWebhook
from services.notification.policy import RETRY_AFTER
from services.notification.projection import UNREACHABLE, SendResult
from services.notification.webhooks import body
from tests.flows.test_people import BEA, SAM, Market, disputed_before_a_mediator, everything, of_its_beginning

pytestmark = pytest.mark.rule("R74")

GONE = SendResult("refused", http_status=410, final=True)


class Hooked(Market):
    own: OwnEndpoints

    async def hooks(self, person_id: str, *urls: str, **contact: Any) -> None:
        """His endpoints are called by the last part of their URLs."""
        webhooks = [{"endpoint_id": url.rpartition("/")[2], "url": url} for url in urls]
        await self.say(person_id, webhooks=webhooks, **contact)

    def told(self, url: str) -> list[str]:
        return [one.queued.template for one in self.own.taken if one.url == url]

    def said_of(self, type_: str) -> list[tuple[str, str]]:
        """(template, endpoint) of what is published of people's own webhooks."""
        said = [
            (event.data["template"], one)
            for event in self.case.seen
            if event.type == type_
            for one in event.data.get("recipients", [event.data])
        ]
        return [(template, one["endpoint_id"]) for template, one in said if "endpoint_id" in one]

    async def placed_and_shipped(self) -> None:
        await self.order()
        await self.ship()
        await self.stage.sleep(timedelta())


async def market_with(
    own: OwnEndpoints | None, webhooks: WebhookEndpoint | None = None, *, known: bool = True
) -> Hooked:
    stage, mails = await open_stage("aliexpress", webhooks, own=own)
    market = Hooked(stage, mails)
    market.own = own or OwnEndpoints()
    if known:
        await market.say(BEA, email="bea@example.com")
        await market.say(SAM, email="sam@example.com")
    return market


@pytest.fixture
async def market() -> Hooked:
    return await market_with(OwnEndpoints())


BEGINNING = [template for template, _ in of_its_beginning("")]
A, B, C = (f"https://bea.example.com/{name}" for name in "abc")
SAMS = "https://sam.example.com/s"


@pytest.mark.parametrize("count", [0, 1, 2, OWN_WEBHOOKS_MAX])
async def test_each_endpoint_of_his_is_told_all_that_he_is_told(market: Hooked, count: int) -> None:
    urls = [f"https://bea.example.com/{number}" for number in range(count)]
    await market.hooks(BEA, *urls, email="bea@example.com")
    await market.placed_and_shipped()

    assert [market.told(url) for url in urls] == [[*BEGINNING, "order.shipped"]] * count
    assert len({one.queued.delivery_id for one in market.own.taken}) == len(market.own.taken) == 3 * count
    assert len(market.said_of("notification.sent")) == 3 * count
    assert market.letters() == [*of_its_beginning("bea@example.com"), ("order.shipped", "bea@example.com")]


async def test_nobodys_endpoint_is_told_what_is_not_for_him_or_anybodys_address(market: Hooked) -> None:
    await market.hooks(BEA, A)
    await market.hooks(SAM, SAMS)
    await disputed_before_a_mediator(market)

    assert {one.queued.recipient.id for one in market.own.taken if one.url == A} == {BEA}
    assert {one.queued.recipient.id for one in market.own.taken if one.url == SAMS} == {SAM}
    for one in market.own.taken:
        assert b"@" not in body(one.queued)
        assert one.queued.recipient.role in (one.queued.facts.get("visible_to") or ("buyer", "seller"))


async def test_it_goes_where_that_is_said_by_then_and_to_what_is_there_by_then(market: Hooked) -> None:
    market.own.answer = lambda webhook: UNREACHABLE
    await market.hooks(BEA, A, B)
    await market.order()
    await market.hooks(BEA, C, "https://moved.example.com/b")  # the first is gone, the second has moved
    market.own.answer = OwnEndpoints().answer
    await market.stage.sleep(RETRY_AFTER[0])
    await market.ship()
    await market.stage.sleep(timedelta())

    assert market.told(A) == market.told(B) == []
    assert market.told("https://moved.example.com/b") == [*BEGINNING, "order.shipped"]
    assert market.told(C) == ["order.shipped"]
    assert market.said_of("notification.failed") == [], "of what is gone nobody is owed anything"


async def test_however_their_order_changes_each_is_told_once_under_one_id(market: Hooked) -> None:
    tried: list[AddressedWebhook] = []

    def away(webhook: AddressedWebhook) -> SendResult:
        tried.append(webhook)
        return UNREACHABLE

    market.own.answer = away
    await market.hooks(BEA, A, B)
    await market.order()
    await market.hooks(BEA, B, A)
    market.own.answer = OwnEndpoints().answer
    await market.stage.sleep(RETRY_AFTER[0])

    assert market.told(A) == market.told(B) == BEGINNING
    first = {(one.url, one.queued.template): one.queued.delivery_id for one in tried}
    assert {(one.url, one.queued.template): one.queued.delivery_id for one in market.own.taken} == first


async def test_410_ends_what_goes_to_that_endpoint_alone(market: Hooked) -> None:
    await market.hooks(BEA, A, B)
    market.own.answer = lambda webhook: GONE if webhook.url == A else OwnEndpoints().answer(webhook)
    await market.order()
    await market.stage.sleep(timedelta(days=5))

    assert market.told(B)[:2] == BEGINNING
    assert market.said_of("notification.failed")[:2] == [(template, "a") for template in BEGINNING]
    assert not [one for one in market.said_of("notification.failed") if one[1] != "a"]


async def test_a_slow_endpoint_holds_up_nobody_elses_and_what_it_missed_comes_when_asked_for(market: Hooked) -> None:
    market.own.answer = lambda webhook: UNREACHABLE if webhook.url == A else OwnEndpoints().answer(webhook)
    await market.hooks(BEA, A, B)
    await market.hooks(SAM, SAMS)
    await market.placed_and_shipped()
    assert (market.told(A), market.told(B)) == ([], [*BEGINNING, "order.shipped"])
    assert market.told(SAMS)[:2] == BEGINNING

    market.own.answer = OwnEndpoints().answer
    await Participant(market.case, "operator", "olga").says("notification.resend", endpoint="a")
    await market.stage.sleep(timedelta())
    assert market.told(A) == [*BEGINNING, "order.shipped"]


async def test_an_order_that_is_faster_than_its_people_waits_for_them() -> None:
    market = await market_with(OwnEndpoints(), known=False)
    await market.order()
    await market.hooks(BEA, A)
    await market.stage.sleep(RETRY_AFTER[0])

    assert market.told(A) == BEGINNING


async def test_nothing_is_left_of_the_endpoints_of_who_is_erased_between_plan_and_sending(
    market: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await market.hooks(BEA, "https://meier.example.com/hooks", "https://meier.example.net/a", email="meier@example.com")
    await market.stage.say("people", BEA, [], b'{"webhooks": [{"url": "https://meier.example.org"')
    market.own.answer = lambda webhook: UNREACHABLE
    mediator = await disputed_before_a_mediator(market)
    before = {where.partition("/")[0] for where, what in everything(market.world) if "meier" in what}
    assert before == {"people", "notification: table of People", "notification: people of Deliveries"}

    await market.erase(BEA)
    market.own.answer = OwnEndpoints().answer
    await mediator.says("mediation.decide", **decision(15_00, "Half of it.", rule="shared-risk"))
    await market.stage.sleep(timedelta(days=8))
    market.world.bus.compact("people")

    assert market.own.taken == []
    assert market.said_of("notification.failed") == market.said_of("notification.sent") == []
    assert market.case.split() == (15_00, 25_00)
    assert [where for where, what in everything(market.world) if "meier" in what] == []
    assert "meier" not in caplog.text


async def test_without_a_secret_there_are_none_and_not_one_record_or_row_more() -> None:
    """Whether `people` speaks of webhooks or not: what is said and kept is the same, to the byte, but for ids that
    follow from the payment service's."""

    async def lived(*urls: str) -> list[str]:
        market = await market_with(None, WebhookEndpoint())
        for person_id in (BEA, SAM):
            await market.hooks(person_id, *urls, email=f"{person_id}@example.com")
        await disputed_before_a_mediator(market)
        await market.stage.sleep(timedelta(days=20))
        logs = market.world.bus.logs.items()
        records = [
            f"{one.topic} {one.key!r} {one.value!r}" for (topic, _), log in logs for one in log if topic != "people"
        ]
        shards = [shard for store in market.world.stores.values() for shard in store.shards.values()]
        rows = [f"{row.type} {row.data!r}" for shard in shards for row in shard.events]
        return [re.sub("[0-9a-f]{32}", "id", one) for one in (*records, *rows)]

    said = await lived(A, B)

    assert said == await lived()
    assert len(said) > 150
    assert not [one for one in said if re.search("lookup_queued|looked_up|endpoint_id", one)]
