"""Histories in which nothing goes wrong, and before every word it is foreseen what will follow from it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from deploy.verify.observation import milliseconds
from schemas.wire import MEDIATORS_KEY, Actor, Command, Event, Message
from services.casefile.foresight.acts import FINAL_NO, Act, Acts
from services.casefile.foresight.oracle import JUDGES, Foreseen, Outlook, remembered
from services.casefile.foresight.remembered import in_order
from shared.kernel.codec import header
from shared.kernel.ports import Record
from tests.domain.trials import STATUS
from tests.simulation.actors import Wish
from tests.simulation.coverage import Visited
from tests.simulation.plan import RULES, Plan, draw
from tests.simulation.play import Stage

EVENTS = tuple(f"{service}.events" for service in JUDGES)
LAIN = (*EVENTS, "payments.events", "mediation.roster")
NOT_FORESEEN = frozenset({"provider_reference", "command_id"})
"""Of the outside, and of how a command is called."""
SLACK_MS = 1_000
Edge = Literal["from", "until"]
Said = tuple[str, str, dict[str, Any]]
"""(topic, type, data)"""


@dataclass(frozen=True)
class Asked:
    """A command, where what it is about stood (`UNTOLD`: that is told of nothing), and the answer, by type."""

    command: Command
    status: str | None
    answer: Mapping[str, Mapping[str, Any]]


@dataclass
class Compared:
    """What was foreseen of one word, or of nobody's acting, and what was said then."""

    what: str
    foreseen: Mapping[str, Sequence[Said]]
    happened: Mapping[str, Sequence[Said]]

    @property
    def differs(self) -> bool:
        return not alike(self.foreseen, self.happened)


def alike(one: Any, other: Any) -> bool:
    """All the same, but that a bell rings some time after its instant, and what counts from there follows it."""
    match one, other:
        case (dict(), dict()):
            return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(map(alike, one, other))
        case (str(), str()) if one != other:
            instants = milliseconds(one), milliseconds(other)
            return None not in instants and abs(instants[0] - instants[1]) < SLACK_MS  # type: ignore[operator]
        case _:
            return bool(one == other)


def calm(seed: int) -> Plan:
    """The plan of a seed without faults, with a payment service that does as it is asked."""
    plan = draw(seed)
    deals = tuple(replace(deal, refund_script="", payout_script="", capture_script="") for deal in plan.deals)
    turns = tuple(
        replace(turn, moment="days later" if turn.moment in ("at once", "soon") else turn.moment) for turn in plan.turns
    )
    return replace(plan, deals=deals, turns=turns, faults=(), hesitation=0, holes=0)


class ForeseeingStage(Stage):
    """Looks ahead whenever somebody is about to speak; and, when all have spoken, to the end."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, Visited())
        self.compared: list[Compared] = []
        self.asked: list[Asked] = []

    def outlook(self, order_id: str) -> Outlook:
        lain: dict[str, list[Record]] = defaultdict(list)
        for record in self.world.bus.heard:
            if record.topic in LAIN:
                lain[(record.key or b"").decode()].append(record)
        now = self.world.bus.clock()
        return remembered(order_id, in_order(lain[order_id]), in_order(lain[MEDIATORS_KEY]), RULES, now)

    async def _say(self, order_id: str, wish: Wish, command_id: str = "") -> str:
        command = None if order_id == MEDIATORS_KEY or command_id else self._command(order_id, wish)
        if command is None or not await self._quiet():
            return await super()._say(order_id, wish, command_id)
        outlook, heard = self.outlook(order_id), len(self.world.bus.heard)
        asked_of = command.topic.partition(".")[0]
        stream = outlook.streams.get((asked_of, command.key))
        status, due_at = STATUS[asked_of](stream and stream.state, command), outlook.next_change()
        foreseen = told(as_said(one) for one in outlook.say(command))
        if due_at is None or due_at >= outlook.now:  # else what is overdue happens first
            answer = {type_: data for _, type_, data in foreseen.get(f"{asked_of}.events", ())}
            self.asked.append(Asked(command, status, answer))
        said = await super()._say(order_id, wish, command_id)
        changes_at = outlook.next_change()
        await self._quiet()
        if changes_at is None or self.world.bus.clock() < changes_at:
            self.compared.append(Compared(wish.name, foreseen, told(self._since(heard, order_id))))
        return said

    @staticmethod
    def _command(order_id: str, wish: Wish) -> Any:
        """None: it is not one."""
        actor = {"role": wish.role, "id": wish.person}
        try:
            return Message.MODELS[f"{wish.name}.v1"].model_validate_json(
                json.dumps({"order_id": order_id, "actor": actor} | wish.data)
            )
        except ValueError:
            return None

    def _since(self, heard: int, order_id: str) -> Iterator[Said]:
        for record in self.world.bus.heard[heard:]:
            if record.topic in EVENTS and record.key == order_id.encode():
                yield record.topic, header(record.headers, "ce_type") or "", json.loads(record.value or b"")

    async def _end(self) -> None:
        await self._quiet()
        heard = len(self.world.bus.heard)
        ahead = {order_id: self.outlook(order_id).nobody_acts() for order_id in self.talk.orders}
        await super()._end()
        for order_id, foreseen in ahead.items():
            if not self._somebody_acted(heard, order_id):
                end = told(as_said(one) for one in foreseen)
                self.compared.append(Compared("nobody acts", end, told(self._since(heard, order_id))))

    def _somebody_acted(self, heard: int, order_id: str) -> bool:
        """An operator lets held money go in the end, for all must end."""
        return any(data.get("actor") for _, _, data in self._since(heard, order_id))


def as_said(one: Foreseen) -> Said:
    return one.event.topic or "", one.event.type, one.event.model_dump(mode="json")


def told(said: Iterator[Said]) -> Mapping[str, Sequence[Said]]:
    """By topic: between topics there is no order."""
    by_topic: dict[str, list[Said]] = defaultdict(list)
    for topic, type_, data in said:
        kept = {name: value for name, value in data.items() if name not in NOT_FORESEEN}
        by_topic[topic].append((topic, type_, kept))
    return dict(by_topic)


class EdgeStage(ForeseeingStage):
    """In the midst of it all fall silent, but for one who comes so much after the first or the last instant at which he
    may."""

    def __init__(self, plan: Plan, edge: Edge, after: timedelta) -> None:
        super().__init__(replace(plan, turns=plan.turns[: plan.seed % 8]))
        self.edge, self.after = edge, after
        self.came: Act | None = None
        """None: nobody had anything to do that has an end."""
        self.refused: str | None = None
        """With which code."""

    async def _end(self) -> None:
        await self._quiet()
        known = self.acts("o1")
        acts = [act for actor in self._everybody() for act in known.of(actor) if self._at(act) is not None]
        if acts:
            self.came = Random(self.plan.seed).choice(acts)
            await self._comes(self.came)
        await Stage._end(self)

    def _at(self, act: Act) -> datetime | None:
        return act.until if self.edge == "until" else act.from_

    def acts(self, order_id: str) -> Acts:
        said = (
            Message.MODELS[type_].model_validate_json(json.dumps(data), extra="ignore")
            for _, type_, data in self._since(0, order_id)
        )
        return Acts(self.outlook(order_id), order_id, [one for one in said if isinstance(one, Event)])

    def _everybody(self) -> Iterator[Actor]:
        order = self.talk.orders["o1"]
        yield Actor(role="operator", id="olga")
        for role in ("buyer", "seller"):
            yield Actor(role=role, id=order.people.get(role, role))
        for dispute in order.disputes.values():
            if dispute.mediator:
                yield Actor(role="mediator", id=dispute.mediator)

    async def _comes(self, act: Act) -> None:
        edge = self._at(act)
        assert edge is not None
        await asyncio.sleep(max(0.0, (edge + self.after - self.world.bus.clock()).total_seconds() + 0.0001))
        heard, command = len(self.world.bus.heard), act.command
        data = command.model_dump(mode="json", exclude={"order_id", "actor"})
        id_ = await Stage._say(
            self, "o1", Wish(command.type.removesuffix(".v1"), command.actor.role, command.actor.id, data)
        )
        await self._quiet()
        no = [
            data["code"]
            for _, type_, data in self._since(heard, "o1")
            if type_ in (FINAL_NO, f"{type_.partition('.')[0]}.rejected.v1") and data.get("command_id") == id_
        ]
        self.refused = no[0] if no else None
