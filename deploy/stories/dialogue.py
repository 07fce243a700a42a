"""How a story is told: people say things to an order, things are heard of it, days pass, and money ends somewhere.

A story knows nothing of transports. A `Stage` carries what is said to the services and brings back what they say.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from deploy.stories.scaled import published
from schemas.instants import EPOCH, from_ms
from schemas.policy import Policy
from schemas.topics import SERVICES
from schemas.wire import MEDIATORS_KEY
from shared.rules import calendar

MEDIATORS = ("mara", "noel")
EVENT_TOPICS = tuple(f"{service}.events" for service in SERVICES)


class StoryFailed(AssertionError):
    """The story took another turn than it should."""


class DoesNotApply(Exception):
    """Under these rules there is no such story; in a line, why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a reader of the topics sees it. `type` without its version, `at` its append time."""

    at: datetime
    type: str
    data: dict[str, Any]
    id: str
    causation_id: str

    @staticmethod
    def of(record: Any) -> "Seen":
        """From a record as Kafka's clients give it: headers, value, timestamp."""
        headers = {name: value.decode() for name, value in record.headers}
        return Seen(
            from_ms(record.timestamp),
            headers["ce_type"].rpartition(".")[0],
            json.loads(record.value),
            headers["ce_id"],
            headers["ce_causationid"],
        )


def day_of(rules: Policy) -> timedelta:
    """How long one of the `days` of a command takes."""
    return calendar.after(EPOCH, rules.day, rules) - EPOCH


class Stage(Protocol):
    """Where stories are played, and under which policy: its days are the story's days."""

    rules: Policy
    slack: timedelta
    """How far an instant may be off: what was said before it took its time, too."""

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes) -> None: ...

    async def until(self, condition: Callable[[], bool], case: "PlayedOrder", within: timedelta) -> bool:
        """Lets time pass until the condition holds; False if it does not within about that time."""
        ...

    async def sleep(self, duration: timedelta) -> None: ...

    def follow(self, case: "PlayedOrder") -> None:
        """From now on whatever is said of this order is added to `case.seen`."""
        ...

    async def publish(self, file: str, content: bytes) -> None:
        """Puts a policy file where the services look; it is in force a moment later."""
        ...


@dataclass
class PlayedOrder:
    """One order, from its payment to its end."""

    stage: Stage
    order_id: str
    captured_minor: int
    expected: tuple[int, int] | None = None
    """What the story says buyer and seller end with."""
    seen: list[Seen] = field(default_factory=list)
    _heard: set[str] = field(default_factory=set)
    _said: int = 0

    @property
    def buyer(self) -> "Person":
        return Person(self, "buyer", f"buyer-{self.order_id}")

    @property
    def seller(self) -> "Person":
        return Person(self, "seller", f"seller-{self.order_id}")

    @property
    def platform(self) -> "Person":
        return Person(self, "platform", "checkout")

    async def mediator(self) -> "Person":
        """Who sits in the newest round; somebody is assigned by load."""
        assigned = await self.hears("mediation.assigned")
        return Person(self, "mediator", assigned["mediator"]["id"])

    async def hears(
        self, type_: str, after: float | str | None = None, since: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Waits for the next event of this type with these fields. With `after`, days or a window of the policy, it
        must come that much later than all that was seen so far, or than the last event of the type `since`: neither
        earlier nor much later."""
        began = max((event.at for event in self.seen if since in (None, event.type)), default=EPOCH)
        window = self._window(began, after)
        found = await self._next(type_, fields, window)
        if after is not None and found.at - began < window - self.stage.slack:
            raise StoryFailed(f"{self.order_id}: {type_} came {found.at - began} after the last, not {window}")
        self._heard.add(found.id)
        return found.data

    def _window(self, began: datetime, after: float | str | None) -> timedelta:
        if isinstance(after, str):
            return calendar.after(began, getattr(self.stage.rules, after), self.stage.rules) - began
        return day_of(self.stage.rules) * (after or 0)

    async def _next(self, type_: str, fields: dict[str, Any], within: timedelta) -> Seen:
        def matching() -> list[Seen]:
            return [
                event
                for event in self.seen
                if event.type == type_
                and event.id not in self._heard
                and all(event.data.get(name) == value for name, value in fields.items())
            ]

        if not await self.stage.until(lambda: bool(matching()), self, within + self.stage.slack):
            last = self.seen[-1] if self.seen else None
            raise StoryFailed(f"{self.order_id}: waited for {type_} {fields}; the last thing heard was {last}")
        return matching()[0]

    async def days(self, days: float) -> None:
        await self.stage.sleep(day_of(self.stage.rules) * days)

    async def ends(self, buyer: int, seller: int) -> None:
        """Every penny has reached one of the two: what the services paid, not what they promised."""
        self.expected = (buyer, seller)
        if not await self.stage.until(lambda: self.split() == (buyer, seller), self, timedelta()):
            raise StoryFailed(f"{self.order_id}: buyer and seller should have {(buyer, seller)}, have {self.split()}")
        if buyer + seller != self.captured_minor:
            raise StoryFailed(f"{self.order_id}: {self.captured_minor} captured, {buyer + seller} expected at the end")

    def nothing_moved(self) -> None:
        if self.split() != (0, 0):
            raise StoryFailed(f"{self.order_id}: nobody should have money yet; buyer and seller have {self.split()}")

    def split(self) -> tuple[int, int]:
        """(paid to the buyer, paid to the seller), by the refund service's word."""
        return self._total("refund.settled", "refund_minor"), self._total("refund.paid_out", "amount_minor") - (
            self._total("refund.charged_back", "amount_minor")
        )

    def _total(self, type_: str, amount: str) -> int:
        return sum(event.data[amount] for event in self.seen if event.type == type_)


@dataclass(frozen=True)
class Person:
    """Somebody who acts on an order."""

    case: PlayedOrder
    role: str
    id: str

    async def says(self, name: str, refused: str | None = None, **data: Any) -> dict[str, Any]:
        """Gives a command (`dispute.open`) and returns the data of its answer. `refused`: the code it must be
        refused with; without it the command must be obeyed."""
        case = self.case
        case._said += 1
        command_id = f"{case.order_id}/{case._said}"
        type_ = f"{name}.v1"
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", command_id.encode()),
            ("ce_type", type_.encode()),
            ("ce_source", b"recourse/stories"),
            ("content-type", b"application/json"),
        ]
        value = json.dumps({"order_id": case.order_id, "actor": {"role": self.role, "id": self.id}} | data).encode()
        await case.stage.say(f"{name.split('.')[0]}.commands", case.order_id, headers, value)

        def answers() -> list[Seen]:
            return [event for event in case.seen if event.causation_id == command_id]

        if not await case.stage.until(lambda: bool(answers()), case, timedelta()):
            raise StoryFailed(f"{case.order_id}: nobody answered {name}")
        answer = answers()[0]
        rejected = answer.type.endswith(".rejected")
        if rejected != (refused is not None) or (refused is not None and answer.data["code"] != refused):
            raise StoryFailed(f"{case.order_id}: {name} should be {refused or 'obeyed'}, got {answer}")
        return answer.data

    def knows(self, type_: str) -> None:
        """He has been shown such an event, or written to about one."""
        if not self._was_told(type_):
            raise StoryFailed(f"{self.case.order_id}: the {self.role} should know of {type_}")

    def never_learns(self, type_: str) -> None:
        if self._was_told(type_):
            raise StoryFailed(f"{self.case.order_id}: the {self.role} should not know of {type_}")

    def _was_told(self, type_: str) -> bool:
        shown = [event for event in self.case.seen if self.role in (event.data.get("visible_to") or [self.role])]
        return any(event.type == type_ or event.data.get("template") == type_ for event in shown)


@dataclass(frozen=True)
class Scene:
    """What a story is given: a stage, and orders to begin with."""

    stage: Stage
    name: str
    cases: list[PlayedOrder] = field(default_factory=list)
    policy: str = ""
    """Under which its orders are placed; the stage's, unless it is named."""

    async def order(self, **lines: "int | Pieces") -> PlayedOrder:
        """An order is placed: paid, and not yet shipped. A line is one piece, or so many, for so much money."""
        wares = {name: line if isinstance(line, Pieces) else Pieces(1, line) for name, line in lines.items()}
        captured = sum(line.minor for line in wares.values())
        case = PlayedOrder(self.stage, f"{self.name}-{len(self.cases) + 1}", captured)
        self.cases.append(case)
        self.stage.follow(case)
        await case.platform.says(
            "order.place",
            buyer={"id": case.buyer.id, "email": f"{case.buyer.id}@example.com"},
            seller={"id": case.seller.id, "email": f"{case.seller.id}@example.com"},
            currency="EUR",
            lines=[
                {"line_id": name, "title": name.capitalize(), "quantity": line.quantity, "amount_minor": line.minor}
                for name, line in wares.items()
            ],
            payment={"payment_id": f"payment-{case.order_id}", "amount_minor": captured},
            policy=self.policy or self.stage.rules.name,
        )
        return case

    async def shipped_order(self, **lines: "int | Pieces") -> PlayedOrder:
        case = await self.order(**lines)
        await case.seller.says("order.ship", carrier="Cainiao", tracking_number=f"LP-{case.order_id}")
        return case

    async def disputable_order(self, **lines: "int | Pieces") -> PlayedOrder:
        """Shipped, and long enough ago that the buyer may dispute."""
        case = await self.shipped_order(**lines)
        await case.days(self.lasts("open_from"))
        return case

    @property
    def rules(self) -> Policy:
        return self.stage.rules

    def lasts(self, window: str) -> float:
        """How many of the story's days a window of the policy takes."""
        return (calendar.after(EPOCH, getattr(self.rules, window), self.rules) - EPOCH) / day_of(self.rules)

    def needs(self, possible: bool, why_not: str) -> None:
        """A story that cannot happen under these rules says so and ends here."""
        if not possible:
            raise DoesNotApply(why_not)

    async def new_rules(self, **changes: Any) -> None:
        """The next version of the stage's policy is published: orders placed from now on live under it."""
        rules = self.stage.rules.model_copy(update={"version": self.stage.rules.version + 1, **changes})
        await self.stage.publish(*published(rules))

    async def under_other_rules(self, name: str, **changes: Any) -> "Scene":
        """The stage's policy but for these keys is published under a name of its own, for this story alone."""
        rules = self.stage.rules.model_copy(update={"name": f"{self.stage.rules.name}-{name}", "version": 1, **changes})
        await self.stage.publish(*published(rules))
        await self.stage.sleep(day_of(self.stage.rules) * 3)  # until every service has read it
        return replace(self, policy=rules.name)


class Pieces(NamedTuple):
    """A line of several pieces; `minor` is the money of them all."""

    quantity: int
    minor: int


Play = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    number: int
    title: str
    play: Play


def story(number: int, title: str) -> Callable[[Play], Story]:
    return lambda play: Story(number, title, play)


def refund(minor: int) -> dict[str, Any]:
    return {"kind": "refund", "refund_minor": minor}


def goods_back(minor: int) -> dict[str, Any]:
    return {"kind": "return_and_refund", "refund_minor": minor}


def new_parcel(minor: int) -> dict[str, Any]:
    """Or the money, if it does not come."""
    return {"kind": "replacement", "refund_minor": minor}


NO_RETURN_NO_REFUND = {"kind": "none", "refund_minor": 0}


def photo(evidence_id: str) -> dict[str, Any]:
    return {
        "evidence_id": evidence_id,
        "kind": "photo",
        "uri": f"https://files.example.com/{evidence_id}.jpg",
        "media_type": "image/jpeg",
        "size_bytes": 204_800,
        "sha256": sha256(evidence_id.encode()).hexdigest(),
    }


async def hire_mediators(stage: Stage, run: str) -> None:
    """Somebody must be there to judge; registering again changes nothing that matters."""
    roster = PlayedOrder(stage, MEDIATORS_KEY, 0)
    stage.follow(roster)
    for name in MEDIATORS:
        headers = [
            ("ce_id", f"{run}/{name}".encode()),
            ("ce_type", b"mediation.register_mediator.v1"),
            ("content-type", b"application/json"),
        ]
        wish = {
            "order_id": MEDIATORS_KEY,
            "actor": {"role": "operator", "id": "stories"},
            "mediator_id": name,
            "capacity": 1_000,
            "email": f"{name}@example.com",
        }
        await stage.say("mediation.commands", MEDIATORS_KEY, headers, json.dumps(wish).encode())
    if not await stage.until(lambda: len(roster.seen) >= len(MEDIATORS), roster, timedelta()):
        raise StoryFailed("the mediators were not registered")
