"""However much one of them says, an order stays as long as can be read, and nobody else loses his room by it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.wire import Role
from services.order.domain import DECIDER
from shared.kernel.codec import header
from shared.kernel.decider import Decider
from shared.runtime.memory import World
from tests.domain.table import POLICIES
from tests.support.commands import command

PEOPLE: dict[str, str] = {"buyer": "bea", "seller": "sam", "platform": "shop"}
ACTS_MAX = 5


class Shop:
    """One order, and all that is said to the order service about it."""

    def __init__(self, world: World) -> None:
        self.world, self._said = world, 0

    @classmethod
    async def open(cls, decider: Decider[Any, Any, Any]) -> "Shop":
        shop = cls(World(POLICIES))
        await shop.world.add(decider)
        party: dict[str, Any] = {
            name: {"id": who, "email": f"{who}@example.org"} for name, who in PEOPLE.items() if name != "platform"
        }
        lines = [{"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 900}]
        money: dict[str, Any] = {
            "currency": "EUR",
            "lines": lines,
            "payment": {"payment_id": "p1", "amount_minor": 900},
        }
        assert await shop.say("order.place.v1", "platform", **party, **money) == "order.placed.v1"
        assert await shop.ship() == "order.shipped.v1"
        return shop

    async def say(self, type_: str, role: Role, who: str | None = None, **data: Any) -> str:
        """What is answered first: a type, or a code."""
        self._said += 1
        said = command(type_, "o1", role, who or PEOPLE[role], data, f"c{self._said}")
        self.world.bus.append(said.topic, said.key, said.value, said.headers)
        await self.world.settle()
        answer, *_ = [
            json.loads(one.value or b"").get("code", header(one.headers, "ce_type"))
            for one in self.world.bus.records("order.events")
            if header(one.headers, "ce_causationid") == said.id
        ]
        return str(answer)

    async def ship(self) -> str:
        return await self.say("order.ship.v1", "seller", carrier="Post", tracking_number="1")

    async def correct(self, who: str = "sam") -> str:
        return await self.say("order.correct_tracking.v1", "seller", who, carrier="Post", tracking_number="1")

    async def taken_over(self) -> None:
        (loop,) = self.world.loops
        await loop.claim(range(self.world.bus.partitions))

    async def rows(self) -> int:
        """As whoever takes it over reads them."""
        store = self.world.stores["order"]
        loaded = await store.load([(shard, "o1") for shard in store.shards])
        return sum(not one.type.endswith(".rejected.v1") for some in loaded.values() for one in some)


@pytest.mark.parametrize("is_taken_over", [False, True])
async def test_beyond_the_limit_a_role_is_refused_and_the_order_grows_no_more(is_taken_over: bool) -> None:
    shop = await Shop.open(replace(DECIDER, acts_max=ACTS_MAX))
    for _ in range(ACTS_MAX - 1):
        assert await shop.correct() == "order.tracking_corrected.v1"
    rows = await shop.rows()

    for _ in range(20):
        if is_taken_over:
            await shop.taken_over()
        assert await shop.correct() == "limit_exceeded"

    assert await shop.rows() == rows
    assert await shop.correct("stranger") == "not_allowed"
    assert await shop.ship() == "wrong_state"
    assert await shop.say("order.confirm_receipt.v1", "buyer") == "order.receipt_confirmed.v1"


async def test_what_is_refused_takes_nobodys_room() -> None:
    shop = await Shop.open(replace(DECIDER, acts_max=ACTS_MAX))
    for _ in range(ACTS_MAX):
        assert await shop.correct("stranger") == "not_allowed"
        assert await shop.ship() == "wrong_state"

    assert await shop.correct() == "order.tracking_corrected.v1"
