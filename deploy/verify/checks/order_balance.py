"""Where the money of one order is by what the order service says: told from its events, not by its code.

Money moves by the amounts the events state, lines by their names; where the two do not go together, that is said.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PLACES = ("held", "disputed", "released", "refunded")


@dataclass
class OrderBalance:
    """In minor units. A released line's money stays released while the line is disputed (R7)."""

    captured: int = 0
    held: int = 0
    disputed: int = 0
    released: int = 0
    refunded: int = 0
    currency: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    paid_out: set[str] = field(default_factory=set)
    """Lines that were released and may still be disputed."""
    frozen: dict[str, str] = field(default_factory=dict)
    """Line -> its dispute."""
    final: set[str] = field(default_factory=set)
    """Lines that can never be disputed again."""

    def follow(self, type_: str, data: Mapping[str, Any], say: Callable[[int], str] = str) -> list[str]:
        """One event of the order; gives back what cannot be. `say` makes words of an amount."""
        wrong = list(self._moves(type_, data, say))
        places = {name: getattr(self, name) for name in PLACES}
        if sum(places.values()) != self.captured or min(places.values()) < 0:
            where = " + ".join(f"{name} {say(minor)}" for name, minor in places.items())
            wrong.append(f"{type_}: captured {say(self.captured)}, but {where}")
        return wrong

    def _moves(self, type_: str, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        match type_:
            case "order.placed.v1":
                if self.captured:
                    yield "placed twice"
                self.lines = {line["line_id"]: line["amount_minor"] for line in data["lines"]}
                self.currency = data["currency"]
                if data.get("status") != "awaiting_payment":
                    self.captured, self.held = data["payment"]["amount_minor"], sum(self.lines.values())
            case "order.paid.v1":
                if self.captured:
                    yield "paid twice"
                self.captured, self.held = data["amount_minor"], sum(self.lines.values())
            case "order.cancelled.v1":
                self.final.update(self.lines)
                self.held -= data["refund_minor"]
                self.refunded += data["refund_minor"]
            case "order.lines_frozen.v1":
                yield from self._freezes(data, say)
            case "order.lines_unfrozen.v1":
                for name in data["lines"]:
                    yield from self._thaws(name, data["dispute_id"])
            case "order.lines_released.v1":
                yield from self._releases(data, say)
            case "order.settled.v1":
                yield from self._settles(data, say)
            case "order.protection_ending.v1":
                if (data["held_minor"], data["disputed_minor"]) != (self.held, self.disputed):
                    said = f"held {say(data['held_minor'])}, disputed {say(data['disputed_minor'])}"
                    yield f"{type_} says {said}; it is {say(self.held)} and {say(self.disputed)}"
            case "order.completed.v1":
                if (data["refund_minor"], data["release_minor"]) != (self.refunded, self.released):
                    said = f"refunded {say(data['refund_minor'])}, released {say(data['release_minor'])}"
                    yield f"{type_} says {said}; it is {say(self.refunded)} and {say(self.released)}"
                if self.held or self.disputed:
                    yield f"completed with {say(self.held)} held and {say(self.disputed)} disputed"

    def _freezes(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        for line in data["lines"]:
            name, minor = line["line_id"], line["amount_minor"]
            if name in self.final or name in self.frozen or minor != self.lines.get(name):
                yield f"line {name} over {say(minor)} cannot be disputed as {data['dispute_id']}"
            if line["released"] != (name in self.paid_out):
                yield f"line {name} over {say(minor)} is {'not ' * line['released']}released"
            self.frozen[name] = data["dispute_id"]
            if not line["released"]:
                self.held -= minor
                self.disputed += minor

    def _thaws(self, name: str, dispute_id: str) -> Iterator[str]:
        if (owner := self.frozen.pop(name, "nothing")) != dispute_id:
            yield f"line {name} comes back from {dispute_id}, but is disputed as {owner}"
        if name not in self.paid_out:
            self.disputed -= self.lines.get(name, 0)
            self.held += self.lines.get(name, 0)

    def _releases(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        for line in data["lines"]:
            name, minor = line["line_id"], line["amount_minor"]
            if name in self.final:
                yield f"line {name} over {say(minor)} is released, but was settled"
            if minor != (0 if name in self.paid_out else self.lines.get(name)):
                yield f"line {name} is worth {say(self.lines.get(name, 0))} and releases {say(minor)}"
            if self.frozen.pop(name, None) is None:
                self.held -= minor
            else:
                self.disputed -= minor
            (self.final if data["final"] else self.paid_out).add(name)
        self.released += data["release_minor"]

    def _settles(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        payout = chargeback = 0
        for line in data["lines"]:
            name, refund, release = line["line_id"], line["refund_minor"], line["release_minor"]
            if (owner := self.frozen.pop(name, "nothing")) != data["dispute_id"]:
                yield f"line {name} is settled by {data['dispute_id']}, but is disputed as {owner}"
            if refund + release != self.lines.get(name):
                worth = say(self.lines.get(name, 0))
                yield f"line {name} is worth {worth} and split into {say(refund)} and {say(release)}"
            self.final.add(name)
            if name in self.paid_out:
                self.released -= refund
                chargeback += refund
            else:
                self.disputed -= self.lines.get(name, 0)
                self.released += release
                payout += release
        self.refunded += data["refund_minor"]
        if (payout, chargeback) != (data["payout_minor"], data["chargeback_minor"]):
            said = f"payout {say(data['payout_minor'])}, charge-back {say(data['chargeback_minor'])}"
            yield f"{data['settlement_id']} is to move {said}; by its lines {say(payout)} and {say(chargeback)}"
