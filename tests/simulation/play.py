"""Plays a plan from its first payment to its last: people act, things go wrong; then nothing does, and all must end."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from deploy.payments.provider import Provider
from schemas.wire import MEDIATORS_KEY, Service
from shared.kernel.ports import Record, StoredEvent
from tests.simulation import virtual_time
from tests.simulation.actors import MEDIATORS, Wish, babel, wish
from tests.simulation.coverage import NONE, Visited
from tests.simulation.invariants import at_rest
from tests.simulation.known import Order, Talk
from tests.simulation.observed import ALARMS_LATE
from tests.simulation.operators import work_off
from tests.simulation.payments import PaymentService
from tests.simulation.plan import Deal, Manner, Plan, Turn
from tests.simulation.world import World

PEOPLE = b"people"
"""The `ce_source` of every command that a person gave."""
STRANGE = "o9"
"""An order that there is not."""
DAYS_OF_PATIENCE = 2
"""How long anybody waits for things to calm down before he acts all the same."""
DAYS_UNTIL_THE_END = 800
FAR_DAYS = 400
"""Nobody aims at what is farther: under `demo` the time to be paid in lasts a day of life, thousands of its own."""
NOWHERE = logging.NullHandler()
MILLISECOND = timedelta(milliseconds=1)
OFFSETS = (-MILLISECOND, timedelta(0), MILLISECOND, timedelta(seconds=1))
"""By how much people miss a deadline they aim at; or by an hour or so."""


@dataclass
class Played:
    """What is left of a history to look at."""

    plan: Plan
    world: World
    provider: Provider
    orders: dict[str, Order]
    captured: dict[str, int]
    commands: list[Record]
    """All that people said, in the order in which the broker heard it."""

    def rows(self, service: Service) -> Iterator[StoredEvent]:
        for shard in range(self.plan.partitions):
            yield from self.world.groups[service].rows(shard)

    def told(self, service: Service) -> Iterator[tuple[StoredEvent, dict[str, Any]]]:
        """Its rows, and what they say."""
        for row in self.rows(service):
            yield row, json.loads(row.data or b"{}")


def play(plan: Plan, visited: Visited | None = None, log: logging.Handler = NOWHERE) -> Played:
    """`log` hears what the services have to say meanwhile, which is much."""
    services = [logging.getLogger(name) for name in ("shared", "services")]
    for one in services:
        one.addHandler(log)
        one.propagate = False
    try:
        return virtual_time.run(Stage(plan, visited or Visited()).play())
    finally:
        for one in services:
            one.propagate = True
            one.removeHandler(log)


class Stage:
    def __init__(self, plan: Plan, visited: Visited) -> None:
        self.plan, self.visited = plan, visited
        self.talk = Talk()
        self.captured: dict[str, int] = {}
        self.commands: list[Record] = []
        self.said = 0
        self.by_people = plan.seed % 3 == 1
        """In this history orders do not say how people are reached."""

    async def play(self) -> Played:
        self.world = World(self.plan, self.visited)
        self.payments = PaymentService(self.world)
        self.world.bus.watchers.append(self.talk.watch)
        await self._begin()
        for number, turn in enumerate(self.plan.turns):
            for fault in self.plan.faults:
                if fault.turn == number:
                    self.world.groups[fault.service].expect(fault)
            if turn.order >= 0:
                await self._take(turn)
                await self._move(turn)
        await self._end()
        self.world.stop()
        return Played(self.plan, self.world, self.payments.provider, self.talk.orders, self.captured, self.commands)

    async def _begin(self) -> None:
        for mediator in MEDIATORS[: 1 + self.plan.seed % len(MEDIATORS)]:
            data = {"mediator_id": mediator, "capacity": 2, "email": f"{mediator}@example.com"}
            await self._say(MEDIATORS_KEY, Wish("mediation.register_mediator", "operator", "olga", data))
        for number, deal in enumerate(self.plan.deals, 1):
            order_id = f"o{number}"
            self.talk.orders[order_id] = Order(order_id)
            self.captured[order_id] = sum(minor for _, minor in deal.lines)
            sale = _sale(order_id, deal)
            if self.by_people:
                for role in ("buyer", "seller"):
                    await self._say_of(sale[role]["id"], sale[role].pop("email"))
            await self._say(order_id, Wish("order.place", "platform", "checkout", sale))

    async def _take(self, turn: Turn) -> None:
        chance, order = Random(turn.chance), self.talk.orders[f"o{turn.order + 1}"]
        await self._wait(chance, order, turn)
        if (order.in_review or order.on_hold or self._parked(order.id)) and chance.random() < 0.4:
            await self._operate(chance, order)
            return
        if turn.moment == "all at once":
            for one in babel(chance, order):
                await self._say(order.id, one)
            return
        deal = self.plan.deals[turn.order]
        manners: Mapping[str, Manner] = {"buyer": deal.buyer, "seller": deal.seller}
        said = wish(chance, order, manners)
        if said is None:
            return
        manner = manners.get(said.role, "honest")
        if manner == "confused" and chance.random() < 0.1:
            said.data["nonsense"] = True
        about = STRANGE if manner == "confused" and chance.random() < 0.1 else order.id
        command_id = await self._say(about, said)
        if chance.random() < (0.9 if manner == "repeating" else 0.05):
            await asyncio.sleep(chance.choice((0, 0, 1, 3600)))
            if chance.random() < 0.3:
                await self._say(about, said._replace(data=said.data | {"dispute_id": "other"}), command_id)
            if chance.random() < 0.8:
                await self._say(about, said, command_id)

    async def _move(self, turn: Turn) -> None:
        """Somebody of the order is reached elsewhere by now, or wants to be forgotten. All else is what it would be."""
        chance, order_id = Random(turn.chance + 1), f"o{turn.order + 1}"
        if self.by_people and chance.random() < 0.2:
            role, deal = chance.choice(("buyer", "seller")), self.plan.deals[turn.order]
            email = f"{role}-{order_id}-moved-{chance.randrange(10**6)}@example.com"
            await self._say_of(_sale(order_id, deal)[role]["id"], None if chance.random() < 0.3 else email)

    async def _say_of(self, person_id: str, email: str | None) -> None:
        """On `people`, as soon as the broker takes it."""
        world = self.world
        await asyncio.sleep(max(0.0, world.broker_down_until - world.now()))
        world.tells(f"platform: {person_id} is {'reached elsewhere' if email else 'erased'}")
        contact = None if email is None else json.dumps(self._contact(person_id, email)).encode()
        world.bus.append("people", person_id.encode(), contact)

    def _contact(self, person_id: str, email: str) -> dict[str, Any]:
        contact = {"person_id": person_id, "email": email}
        if not self.plan.own_webhooks:
            return contact
        base = f"https://hooks.example.com/{email.partition('@')[0]}"
        webhooks = [
            {"endpoint_id": f"e{number}", "url": f"{base}/{number}"} for number in range(sum(email.encode()) % 4)
        ]
        return contact | {"webhooks": webhooks}

    async def _wait(self, chance: Random, order: Order, turn: Turn) -> None:
        match turn.moment:
            case "at once":
                return
            case "all at once":
                await self._quiet()
                return
            case "soon":
                await asyncio.sleep(10 ** chance.uniform(-3, 2))
                return
            case "when quiet":
                await self._quiet()
                await asyncio.sleep(chance.uniform(0, self.plan.day / 24))
                return
            case "days later":
                await self._quiet()
                ships = order.status == "awaiting_shipment" or (order.parcels and order.unshipped)
                patience = 2 if ships else 9
                await asyncio.sleep(chance.uniform(0, patience * self.plan.day))
                return
        await self._quiet()
        now = self.world.bus.clock()
        far = now + timedelta(seconds=FAR_DAYS * self.plan.day)
        coming = sorted(instant for instant in order.instants if now < instant < far)[:3]
        if coming:
            aim = chance.choice(coming) + chance.choice((*OFFSETS, timedelta(seconds=self.plan.day / 24)))
            await asyncio.sleep(max(0.0, (aim - now).total_seconds() + 0.0001))

    async def _quiet(self) -> bool:
        """Waits until everything said has had its effects, payments apart; and then nobody may be stranded."""
        nap, until = 0.01, self.world.now() + DAYS_OF_PATIENCE * self.plan.day
        while not self.world.quiet():
            if self.world.now() >= until:
                return False
            await asyncio.sleep(nap)
            nap = min(nap * 2, 3600)
        for sentence in at_rest(self.world):
            self.world.finds(sentence)
        return True

    async def _say(self, order_id: str, wish: Wish, command_id: str = "") -> str:
        """Gives a command as soon as the broker takes it."""
        world = self.world
        await asyncio.sleep(max(0.0, world.broker_down_until - world.now()))
        self.said += not command_id
        command_id = command_id or f"c{self.said}"
        actor = {"role": wish.role, "id": wish.person}
        value = json.dumps({"order_id": order_id, "actor": actor} | wish.data).encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", command_id.encode()),
            ("ce_type", f"{wish.name}.v1".encode()),
            ("ce_source", PEOPLE),
        ]
        self.visited.fault = NONE
        world.tells(f"{wish.role} {wish.person}, {order_id}: {wish.name} {command_id} {_told(wish.data)}")
        topic = f"{wish.name.partition('.')[0]}.commands"
        record = world.bus.append(topic, order_id.encode(), value, headers)
        if not wish.name.endswith(".resume"):  # changes nothing that a fault did not change before
            self.commands.append(record)
        return command_id

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Once faults stop and the operator does his work, everything ends (L1)."""
        self.world.heal()
        self.world.tells("-- from now on nothing goes wrong")
        chance = Random(self.plan.seed + 2)
        for _ in range(DAYS_UNTIL_THE_END):
            if await self._quiet() and self._ended():
                if self.world.observed.alarms_tell():
                    return
                # what is late by then is late, also of what had ended before
                await asyncio.sleep(self.world.well_since + ALARMS_LATE - self.world.now())
                continue
            if self.payments.idle():
                for order in self.talk.orders.values():
                    await self._operate(chance, order)
            await asyncio.sleep(self.plan.day)
        for order in self.talk.orders.values():
            self.world.finds(f"{order.id} has not ended: it is {order.status}, {self._escrow(order.id)} in escrow")

    def _parked(self, order_id: str) -> list[Service]:
        """Where the order waits, and whose inbox operators write."""
        groups = self.world.groups.items()
        return [name for name, one in groups if one.obeys_operators and order_id in one.parked()]

    def _ended(self) -> bool:
        if any(group.parked() for group in self.world.groups.values()):
            return False
        paid = all(
            order.status in ("completed", "cancelled")
            and self._escrow(order.id) == 0
            and not order.moving
            and not order.in_review
            for order in self.talk.orders.values()
        )
        return paid and self.payments.idle() and not self.world.groups["notification"].letters

    def _escrow(self, order_id: str) -> int | None:
        """None: nothing was captured yet."""
        account = f"escrow:{order_id}"
        moved = [
            booked.entry.amount_minor * ((booked.entry.to_account == account) - (booked.entry.from_account == account))
            for booked in self.world.ledger.values()
            if booked.order_id == order_id
        ]
        return sum(moved) if moved else None

    async def _operate(self, chance: Random, order: Order) -> None:
        """He lets what is parked go on, whether it is mended or not. Before he pays by hand he makes sure that the
        provider neither has paid nor still will."""
        moved = {said.payment_key: said for said in self.payments.provider.moved}
        returned = {said.payment_key or "" for said in self.payments.provider.returned}
        for service in self._parked(order.id):
            await self._say(order.id, Wish(f"{service}.resume", "operator", "olga", {}))
        for one in work_off(chance, order, moved, returned, by_hand=self.world.quiet() and self.payments.idle()):
            await self._say(order.id, one)


def _sale(order_id: str, deal: Deal) -> dict[str, Any]:
    """As the platform tells it; the ids of payment and seller carry the provider's scripts."""

    def scripted(name: str, script: str) -> str:
        return f"{name}-{order_id}" + (f":{script}" if script else "")

    return {
        "buyer": {"id": f"buyer-{order_id}", "email": f"buyer-{order_id}@example.com"},
        "seller": {"id": scripted("seller", deal.payout_script), "email": f"seller-{order_id}@example.com"},
        "currency": "EUR",
        "lines": [
            {"line_id": f"l{number}", "title": "Lamp", "quantity": pieces, "amount_minor": minor}
            for number, (pieces, minor) in enumerate(deal.lines, 1)
        ],
        "payment": {
            "payment_id": scripted(
                f"payment-{order_id}::{deal.capture_script}" if deal.capture_script else "payment", deal.refund_script
            ),
            "amount_minor": sum(minor for _, minor in deal.lines),
        },
        "policy": deal.policy,
        "commission_bps": deal.commission_bps,
    }


def _told(data: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in data.items() if name not in ("evidence", "description", "buyer", "seller")}
    return json.dumps(shown, separators=(",", ":"))
