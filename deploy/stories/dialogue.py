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
from deploy.stories.seen import Seen, day_of
from schemas.instants import EPOCH
from schemas.policy import Policy
from schemas.wire import MEDIATORS_KEY
from shared.rules import calendar
from shared.rules.reminding import remind_at

MEDIATORS = ("mara", "noel")
READ_WITHIN_DAYS = 3
"""Every service has read a new policy by then."""


class StoryFailed(AssertionError):
    """The story took another turn than it should."""


class DoesNotApply(Exception):
    """Under these rules there is no such story; in a line, why."""


class Stage(Protocol):
    """Where stories are played, and under which policy: its days are the story's days."""

    rules: Policy
    slack: timedelta
    """How far an instant may be off: what was said before it took its time, too."""
    payments_follow_scripts: bool
    """Whether the payment service does what an id tells it (deploy/payments/script.py); the sandbox does not."""

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes | None) -> None: ...

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
    rules: Policy
    expected: tuple[int, int] | None = None
    """What the story says buyer and seller end with."""
    seen: list[Seen] = field(default_factory=list)
    _heard: set[str] = field(default_factory=set)
    _said: int = 0

    @property
    def payment_id(self) -> str:
        return f"payment-{self.order_id}"

    @property
    def buyer(self) -> "Participant":
        return Participant(self, "buyer", f"buyer-{self.order_id}")

    @property
    def seller(self) -> "Participant":
        return Participant(self, "seller", f"seller-{self.order_id}")

    @property
    def platform(self) -> "Participant":
        return Participant(self, "platform", "checkout")

    @property
    def operator(self) -> "Participant":
        return Participant(self, "operator", "olga")

    async def mediator(self) -> "Participant":
        """Who sits in the newest round; somebody is assigned by load."""
        assigned = await self.hears("mediation.assigned")
        return Participant(self, "mediator", assigned["mediator"]["id"])

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
            return calendar.after(began, getattr(self.rules, after), self.rules) - began
        return day_of(self.rules) * (after or 0)

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
        await self.stage.sleep(day_of(self.rules) * days)

    async def ends(self, buyer: int, seller: int, commission: int = 0) -> None:
        """Every penny has reached one of the two, or is the platform's: what the services paid, not what they
        promised."""
        self.expected = (buyer, seller)
        if not await self.stage.until(lambda: self.split() == (buyer, seller), self, timedelta()):
            raise StoryFailed(f"{self.order_id}: buyer and seller should have {(buyer, seller)}, have {self.split()}")
        if (total := buyer + seller + commission) != self.captured_minor:
            raise StoryFailed(f"{self.order_id}: {self.captured_minor} captured, {total} expected at the end")

    def nothing_moved(self) -> None:
        if self.split() != (0, 0):
            raise StoryFailed(f"{self.order_id}: nobody should have money yet; buyer and seller have {self.split()}")

    def split(self) -> tuple[int, int]:
        """(paid to the buyer, paid to the seller), by the refund service's word."""
        back = {leg: self._total("refund.reversed", "amount_minor", leg=leg) for leg in ("refund", "payout")}
        seller = self._total("refund.paid_out", "amount_minor") - self._total("refund.charged_back", "amount_minor")
        return self._total("refund.settled", "refund_minor") - back["refund"], seller - back["payout"]

    def _total(self, type_: str, amount: str, **fields: str) -> int:
        said = [event.data for event in self.seen if event.type == type_]
        return sum(data[amount] for data in said if all(data[name] == value for name, value in fields.items()))


@dataclass(frozen=True)
class Participant:
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

    @property
    def address(self) -> str:
        return f"{self.id}@example.com"

    async def is_reached_at(self, email: str | None) -> None:
        """The platform says so on `people`; with None it erases him."""
        contact = None if email is None else json.dumps({"person_id": self.id, "email": email}).encode()
        await self.case.stage.say("people", self.id, [], contact)

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
    its_own: Policy | None = None
    """Its orders live under these rules, if not under those of the stage."""
    by_people: bool = False
    """Where somebody is reached is said on `people`, and the orders do not know."""

    async def order(self, commission_bps: int = 0, **lines: "int | Pieces") -> PlayedOrder:
        """An order is placed and paid, and not yet shipped. A line is one piece, or so many, for so much money."""
        case = await self.placed_order("", commission_bps, **lines)
        if self.rules.capture == "confirmed":
            await case.hears(self.paid)
        return case

    async def placed_order(self, paid_as: str = "", commission_bps: int = 0, **lines: "int | Pieces") -> PlayedOrder:
        """Whether it is paid is open. `paid_as`: how the payment service confirms it, where it is asked
        (deploy/payments/script.py)."""
        wares = {name: line if isinstance(line, Pieces) else Pieces(1, line) for name, line in lines.items()}
        captured = sum(line.minor for line in wares.values())
        case = PlayedOrder(self.stage, f"{self.name}-{len(self.cases) + 1}", captured, self.rules)
        self.cases.append(case)
        self.stage.follow(case)
        if self.by_people:
            for party in (case.buyer, case.seller):
                await party.is_reached_at(party.address)
        await case.platform.says(
            "order.place",
            buyer={"id": case.buyer.id} | ({} if self.by_people else {"email": case.buyer.address}),
            seller={"id": case.seller.id} | ({} if self.by_people else {"email": case.seller.address}),
            currency="EUR",
            lines=[
                {"line_id": name, "title": name.capitalize(), "quantity": line.quantity, "amount_minor": line.minor}
                for name, line in wares.items()
            ],
            payment={"payment_id": case.payment_id + paid_as, "amount_minor": captured},
            policy=self.rules.name,
            commission_bps=commission_bps,
        )
        return case

    async def shipped_order(self, **lines: "int | Pieces") -> PlayedOrder:
        case = await self.order(0, **lines)
        await case.seller.says("order.ship", carrier="Cainiao", tracking_number=f"LP-{case.order_id}")
        return case

    async def disputable_order(self, **lines: "int | Pieces") -> PlayedOrder:
        """Shipped, and long enough ago that the buyer may dispute."""
        case = await self.shipped_order(**lines)
        await case.days(self.lasts("open_from"))
        return case

    @property
    def paid(self) -> str:
        """The event with which the seller's time begins (R61)."""
        return "order.paid" if self.rules.capture == "confirmed" else "order.placed"

    @property
    def rules(self) -> Policy:
        return self.its_own or self.stage.rules

    def lasts(self, window: str) -> float:
        """How many of the story's days a window of the policy takes."""
        return (calendar.after(EPOCH, getattr(self.rules, window), self.rules) - EPOCH) / day_of(self.rules)

    def reminds_after(self, window: str) -> float:
        """How many of the story's days after its beginning somebody is reminded of a window (R68)."""
        at = remind_at(EPOCH, calendar.after(EPOCH, getattr(self.rules, window), self.rules), self.rules)
        assert at is not None, "these rules remind nobody"
        return (at - EPOCH) / day_of(self.rules)

    def needs(self, possible: bool, why_not: str) -> None:
        """A story that cannot happen under these rules says so and ends here."""
        if not possible:
            raise DoesNotApply(why_not)

    async def new_rules(self, **changes: Any) -> None:
        """The next version of the stage's policy is published: orders placed from now on live under it."""
        rules = self.stage.rules.model_copy(update={"version": self.stage.rules.version + 1, **changes})
        await self.stage.publish(*published(rules))

    async def under(self, **changes: Any) -> "Scene":
        """The same with rules of its own, which every service has read: what they do not say the stage's rules do."""
        rules = self.rules.model_copy(update={"name": f"{self.name}-rules", "version": 1, **changes})
        await self.stage.publish(*published(rules))
        await self.stage.sleep(day_of(self.rules) * READ_WITHIN_DAYS)
        return replace(self, its_own=rules)


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
    roster = PlayedOrder(stage, MEDIATORS_KEY, 0, stage.rules)
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
