"""Where letters go, and what is left of who was erased, on the in-memory composition (R74)."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from deploy.memory import MemoryStage, open_stage
from deploy.recipients import MailServer
from deploy.stories.claims import before_a_mediator, decision, disputed
from deploy.stories.dialogue import Participant, PlayedOrder
from services.notification.people import People
from services.notification.policy import RETRY_AFTER
from services.notification.projection import UNREACHABLE
from shared.kernel.codec import header
from shared.runtime.memory import World

pytestmark = pytest.mark.rule("R74")

BEA, SAM = "buyer-A-1", "seller-A-1"
LOOKED_FOR = sum(RETRY_AFTER[:3], timedelta())
GIVEN = "given.at.placing@example.com"


class Market:
    """Orders of Bea and Sam, of whom the platform says what it likes, when it likes."""

    def __init__(self, stage: MemoryStage, mails: MailServer) -> None:
        self.stage, self.mails = stage, mails
        self.case = PlayedOrder(stage, "A-1", 40_00, stage.rules)
        stage.follow(self.case)

    @property
    def world(self) -> World:
        return self.stage.world

    async def say(self, person_id: str, **contact: Any) -> None:
        await self.stage.say("people", person_id, [], json.dumps({"person_id": person_id, **contact}).encode())
        await self.world.settle()

    async def erase(self, person_id: str) -> None:
        self.world.bus.append("people", person_id.encode(), None)
        await self.world.settle()

    async def order(self, **bea: Any) -> None:
        await self.case.platform.says(
            "order.place",
            buyer={"id": BEA, **bea},
            seller={"id": SAM},
            currency="EUR",
            lines=[{"line_id": "lamp", "title": "Lamp", "quantity": 1, "amount_minor": 40_00}],
            payment={"payment_id": "p1", "amount_minor": 40_00},
            policy="aliexpress",
        )

    def letters(self, to: str = "buyer") -> list[tuple[str, str | None]]:
        """(template, address) of what this role was sent."""
        taken = [one.queued for one in self.mails.taken if one.queued.recipient.role == to]
        return [(one.template, one.email) for one in taken]

    def given_up(self, role: str = "buyer") -> list[tuple[str, str]]:
        failed = [one.data for one in self.case.seen if one.type == "notification.failed"]
        return [(one["template"], one["problem"]) for one in failed if one["recipient"]["role"] == role]

    async def ship(self) -> None:
        await self.case.seller.says("order.ship", carrier="DHL", tracking_number="1")


def of_its_beginning(what: str) -> list[tuple[str, str]]:
    """That the order is placed and that it is paid, and of each this."""
    return [("order.placed", what), ("order.paid", what)]


@pytest.fixture
async def market() -> Market:
    stage, mails = await open_stage("aliexpress")
    market = Market(stage, mails)
    await market.say(SAM, email="sam@example.com")
    return market


async def test_a_letter_goes_where_people_say_in_their_language_and_by_their_clock(market: Market) -> None:
    await market.say(BEA, email="bea@example.com", locale="de", time_zone="Asia/Tokyo")
    await market.order()

    letter, _ = [one for one in market.mails.taken if one.queued.recipient.role == "buyer"]
    assert letter.queued.email == "bea@example.com"
    assert "Bestellung" in letter.letter.text
    assert "UTC+9" in letter.letter.text


async def test_it_goes_where_that_is_said_by_then(market: Market) -> None:
    await market.say(BEA, email="old@example.com")
    await market.order()
    await market.say(BEA, email="new@example.com")
    await market.ship()

    assert market.letters() == [*of_its_beginning("old@example.com"), ("order.shipped", "new@example.com")]


async def test_what_waits_for_the_mail_server_goes_to_the_new_address_too(market: Market) -> None:
    await market.say(BEA, email="old@example.com")
    market.mails.answer = lambda queued: UNREACHABLE
    await market.order()
    await market.say(BEA, email="new@example.com", locale="de")
    market.mails.answer = MailServer().answer
    await market.stage.sleep(RETRY_AFTER[0])

    assert market.letters() == of_its_beginning("new@example.com")


@pytest.mark.parametrize(
    ("known", "goes_to"),
    [
        (None, GIVEN),
        ({"email": "bea@example.com"}, "bea@example.com"),
        ({"locale": "de"}, None),
        ("erased", None),
    ],
)
async def test_what_was_given_at_placing_counts_only_for_whom_people_does_not_know(
    market: Market, known: Any, goes_to: str | None
) -> None:
    if known == "erased":
        await market.erase(BEA)
    elif known is not None:
        await market.say(BEA, **known)
    await market.order(email=GIVEN, locale="de")

    assert market.letters() == (of_its_beginning(goes_to) if goes_to else [])
    assert market.given_up() == ([] if goes_to else of_its_beginning("no_address"))


async def test_an_order_that_is_faster_than_its_people_waits_for_them(market: Market) -> None:
    await market.order()
    await market.stage.sleep(LOOKED_FOR - timedelta(seconds=1))
    assert (market.letters(), market.given_up()) == ([], [])
    await market.say(BEA, email="bea@example.com")
    await market.stage.sleep(timedelta(seconds=1))

    assert market.letters() == of_its_beginning("bea@example.com")


async def test_who_stays_unknown_is_given_up_visibly_and_can_be_told_later(market: Market) -> None:
    await market.order()
    await market.stage.sleep(LOOKED_FOR)
    assert market.given_up() == of_its_beginning("no_address")

    await market.say(BEA, email="bea@example.com")
    await Participant(market.case, "operator", "olga").says("notification.resend")
    await market.stage.sleep(timedelta())

    assert market.letters() == of_its_beginning("bea@example.com")


async def test_a_mediator_without_an_address_on_the_roster_has_one_in_people(market: Market) -> None:
    headers = [("ce_id", b"abe"), ("ce_type", b"mediation.register_mediator.v1")]
    wish = {"order_id": "mediators", "actor": {"role": "operator", "id": "o"}, "mediator_id": "abe", "capacity": 1}
    await market.stage.say("mediation.commands", "mediators", headers, json.dumps(wish).encode())
    await market.say("abe", email="abe@example.com")
    await disputed_before_a_mediator(market)

    assert market.letters("mediator") == [("mediation.assigned", "abe@example.com")]


async def disputed_before_a_mediator(market: Market) -> Participant:
    await market.order()
    await market.ship()
    await disputed(market.case, 40_00)
    return await before_a_mediator(market.case)


def everything(world: World) -> Iterator[tuple[str, str]]:
    """All that is written anywhere, and what processes hold in memory."""
    for (topic, partition), log in world.bus.logs.items():
        yield f"{topic}/{partition}", repr(log)
    for service, store in world.stores.items():
        yield f"the rows of {service}", repr(store.shards)
        for projection in store.projections:
            for name, table in vars(projection).items():
                if name.endswith("table") or name == "people":
                    yield f"{service}: {name} of {type(projection).__name__}", repr(vars(table))
    for loop in world.loops:
        yield f"what {loop.decider.service} has in mind", repr([shard.streams for shard in loop.shards.values()])


async def test_nothing_is_left_of_who_is_erased_in_mid_order_and_the_order_ends_right(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await market.say(BEA, email="bea.meier@example.com", locale="de-x-bea.meier", time_zone="Bea.Meier/Home")
    await market.say(BEA, email="b.meier@example.net", locale="de", time_zone="Europe/Berlin")
    await market.stage.say("people", BEA, [("from", b"b.meier@example.net")], b'{"email": "b.meier@example.net')
    mediator = await disputed_before_a_mediator(market)
    market.mails.answer = lambda queued: UNREACHABLE  # letters wait
    await mediator.says("mediation.ask", dispute_id="d1", question_id="q1", to="both", question="A photo?")
    await market.world.settle()
    written_before = len(market.letters())

    await market.erase(BEA)
    market.mails.answer = MailServer().answer
    await market.stage.sleep(timedelta(minutes=1))
    await mediator.says("mediation.decide", **decision(15_00, "Half of it.", rule="shared-risk"))
    await market.stage.sleep(timedelta(days=8))
    market.world.bus.compact("people")

    assert len(market.letters()) == written_before > 2
    assert {problem for _, problem in market.given_up()} == {"no_address"}
    assert {"mediation.question_asked", "dispute.decided", "order.completed"} <= {one for one, _ in market.given_up()}
    assert ("order.completed", "sam@example.com") in market.letters("seller")
    assert market.case.split() == (15_00, 25_00)
    assert len(market.world.bus.records("notification.dead-letters")) == 1
    found = [where for where, what in everything(market.world) if "meier" in what.lower()]
    assert found == []
    assert "meier" not in caplog.text.lower()
    assert any("sam@example.com" in what for _, what in everything(market.world)), "who is not erased is found"


async def test_before_he_is_erased_he_is_found_in_people_and_its_table_alone(market: Market) -> None:
    await market.say(BEA, email="bea.meier@example.com")
    market.mails.answer = lambda queued: UNREACHABLE
    await disputed_before_a_mediator(market)

    found = {where.partition("/")[0] for where, what in everything(market.world) if "meier" in what}
    assert found == {"people", "notification: table of People", "notification: people of Deliveries"}


async def test_while_nobody_can_be_looked_up_letters_wait(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    (people,) = [one for one in market.world.stores["notification"].projections if isinstance(one, People)]
    find = people.table.find

    async def away(person_id: str) -> None:
        raise ConnectionError(GIVEN)

    await market.say(BEA, email="bea@example.com")
    people.table.find = away  # type: ignore[method-assign]
    await market.order()
    assert market.letters() == []
    people.table.find = find  # type: ignore[method-assign]
    await market.stage.sleep(RETRY_AFTER[0])

    assert market.letters() == of_its_beginning("bea@example.com")
    assert GIVEN not in caplog.text


async def test_what_was_given_at_placing_is_in_no_event_but_that(market: Market) -> None:
    await market.order(email=GIVEN)
    await market.ship()
    await disputed(market.case, 40_00)
    await before_a_mediator(market.case)

    assert GIVEN in repr(market.mails.taken)
    holding = {(one.topic, header(one.headers, "ce_type")) for log in market.world.bus.logs.values() for one in log}
    told = {
        (one.topic, header(one.headers, "ce_type"))
        for log in market.world.bus.logs.values()
        for one in log
        if GIVEN.encode() in (one.value or b"")
    }
    assert told == {("order.commands", "order.place.v1"), ("order.events", "order.placed.v1")}
    named = {"order.lines_frozen.v1", "dispute.opened.v1", "dispute.escalated.v1", "mediation.opened.v1"}
    assert named <= {type_ for _, type_ in holding}, "which name both parties"
