"""Whatever the published schemas allow is answered, whatever they do not is refused as `invalid`; about orders in every
situation, on the in-memory composition."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deploy.memory import MemoryStage, open_stage
from deploy.stories.claims import before_a_mediator, decision, disputed
from deploy.stories.dialogue import PlayedOrder, Scene, goods_back, new_parcel, refund
from deploy.verify.checks.order_balance import OrderBalance
from schemas.topics import SERVICES
from shared.kernel.codec import header
from shared.kernel.ports import StoredEvent
from tests.faults.from_schema import bad, good, placed, schemas
from tests.support.commands import headers

EXAMPLES = 12
"""Of every type, each said to every order; and all that is one thing off one of them, said to one."""
NOBODYS = "nobody-ordered-this"


@dataclass
class Played:
    """What was sent, and every answer to it: the type, or the code of a refusal."""

    stage: MemoryStage
    good: dict[str, Any] = field(default_factory=dict)
    bad: dict[str, Any] = field(default_factory=dict)
    """Command id -> content."""
    answers: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


async def test_whatever_the_schemas_allow_is_answered_and_what_they_do_not_is_refused() -> None:
    played = await play()
    assert {one: content for one, content in played.good.items() if len(played.answers[one]) != 1} == {}
    assert {one: content for one, content in played.bad.items() if played.answers[one] != ["invalid"]} == {}
    world = played.stage.world
    aside = [
        header(letter.headers, "x-dead-letter-reason")
        for service in SERVICES
        for letter in world.bus.records(f"{service}.dead-letters")
    ]
    assert not aside
    assert not [shard.claim.parked for loop in world.loops for shard in loop.shards.values() if shard.claim.parked]
    assert money_is_wrong(played.stage) == []
    obeyed = Counter(answer for one in played.good for answer in played.answers[one])
    assert sum("." in answer for answer in obeyed) > 10, f"too much is refused to say much: {obeyed}"
    await life_goes_on(played.stage)


async def play() -> Played:
    stage, _ = await open_stage("aliexpress")
    cases = await many_situations(Scene(stage, "hostile"))
    played = Played(stage)
    orders = [*(case.order_id for case in cases), NOBODYS]
    for schema in schemas():
        goods = good(schema, EXAMPLES)
        for number, content in enumerate(goods):
            for order_id in orders:
                command_id = f"good/{number}/{schema['title']}/{order_id}"
                say(stage, schema, content, order_id, command_id)
                played.good[command_id] = content
            await stage.world.wait(timedelta(hours=1))
        for number, (wrong, content) in enumerate(bad(schema, goods)):
            command_id = f"bad/{number}/{schema['title']}: {wrong}"[:255]
            say(stage, schema, content, orders[number % len(orders)], command_id)
            played.bad[command_id] = content
    await stage.world.settle()
    for row in rows(stage):
        if row.command_id is not None:
            about = json.loads(row.data or b"")
            played.answers[row.command_id].append(about["code"] if row.type.endswith(".rejected.v1") else row.type)
    return played


def rows(stage: MemoryStage) -> Iterator[StoredEvent]:
    """All that any service has ever said."""
    for store in stage.world.stores.values():
        for shard in store.shards.values():
            yield from shard.events


def say(stage: MemoryStage, schema: dict[str, Any], content: Any, order_id: str, command_id: str) -> None:
    key, value = placed(schema, content, order_id)
    stage.world.bus.append(schema["x-topic"], key, value, headers(schema["title"], command_id))


async def many_situations(scene: Scene) -> Sequence[PlayedOrder]:
    """An order in about every state there is; how it came there is told in the stories."""
    await scene.order(lamp=10_00)
    cancelled = await scene.order(lamp=10_00)
    await cancelled.buyer.says("order.cancel")
    await scene.shipped_order(lamp=10_00)
    received = await scene.shipped_order(lamp=10_00)
    await received.buyer.says("order.confirm_receipt")
    claimed = await scene.shipped_order(lamp=10_00)
    await disputed(claimed, 10_00)
    negotiated = await scene.shipped_order(lamp=10_00)
    await disputed(negotiated, 10_00)
    await negotiated.seller.says("dispute.offer", dispute_id="d1", terms=refund(5_00))
    withdrawn = await scene.shipped_order(lamp=10_00)
    await disputed(withdrawn, 10_00)
    await withdrawn.buyer.says("dispute.cancel", dispute_id="d1", expect="reopenable")
    agreed = await scene.shipped_order(lamp=10_00)
    await disputed(agreed, 10_00)
    await agreed.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    for shipped in (False, True):
        back = await scene.shipped_order(lamp=10_00)
        await disputed(back, 10_00, terms=goods_back(10_00))
        await back.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
        await back.hears("dispute.return_awaited")
        if shipped:
            await back.buyer.says("dispute.ship_return", dispute_id="d1", carrier="Post", tracking_number="t1")
    for step in ("opened", "asked", "offered", "decided", "appealed"):
        await in_mediation(await scene.shipped_order(lamp=10_00), step)
    await scene.new_rules(replacement=True)
    for shipped in (False, True):
        anew = await scene.shipped_order(lamp=10_00)
        await disputed(anew, 10_00, terms=new_parcel(10_00))
        await anew.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
        await anew.hears("dispute.replacement_awaited")
        if shipped:
            await anew.seller.says("dispute.ship_replacement", dispute_id="d1", carrier="Post", tracking_number="t1")
    return scene.cases


async def in_mediation(case: PlayedOrder, step: str) -> None:
    await disputed(case, 10_00)
    mediator = await before_a_mediator(case)
    if step == "asked":
        await mediator.says("mediation.ask", dispute_id="d1", question_id="q1", to="both", question="When?")
    if step == "offered":
        await case.seller.says("mediation.offer", dispute_id="d1", terms=refund(5_00))
    if step in ("decided", "appealed"):
        await mediator.says("mediation.decide", **decision(4_00, "Half of it is whole.", rule="shared-risk"))
        await case.hears("dispute.decided")
    if step == "appealed":
        await case.buyer.says("dispute.appeal", dispute_id="d1", explanation="None of it is whole.")
        await case.mediator()


def money_is_wrong(stage: MemoryStage) -> list[str]:
    """M1: after every event of every order captured = held + disputed + released + refunded."""
    balances: defaultdict[bytes, OrderBalance] = defaultdict(OrderBalance)
    return [
        f"{record.key!r}, offset {record.offset}: {wrong}"
        for record in stage.world.bus.records("order.events")
        for wrong in balances[record.key or b""].follow(
            header(record.headers, "ce_type") or "", json.loads(record.value or b"")
        )
    ]


async def life_goes_on(stage: MemoryStage) -> None:
    case = await Scene(stage, "afterwards").shipped_order(lamp=10_00)
    await disputed(case, 10_00)
    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.ends(buyer=10_00, seller=0)
