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
    commission: int = 0
    """Of what is released, the platform's (R69)."""
    commission_bps: int = 0
    releases: dict[str, int] = field(default_factory=dict)
    """Settlement id of a release -> what of it was not refunded since."""
    currency: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    """What is left of each."""
    paid_out: dict[str, str] = field(default_factory=dict)
    """Lines that were released and may still be disputed -> by which settlement."""
    frozen: dict[str, str] = field(default_factory=dict)
    """Line -> its dispute."""
    final: set[str] = field(default_factory=set)
    """Lines that can never be disputed again."""

    @property
    def waiting(self) -> set[str]:
        """Lines that the end of protection will release; nothing of them, where all was given back, or of gifts."""
        return self.lines.keys() - self.final - self.frozen.keys() - self.paid_out.keys()

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
                self.currency, self.commission_bps = data["currency"], data.get("commission_bps", 0)
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
            case "order.lines_cancelled.v1" | "order.refunded.v1":
                yield from self._gives_back(data, type_ == "order.lines_cancelled.v1", say)
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
                if data.get("commission_minor", 0) != self.commission:
                    said = say(data.get("commission_minor", 0))
                    yield f"{type_} says commission {said}; it is {say(self.commission)}"
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

    def _gives_back(self, data: Mapping[str, Any], all_of_it: bool, say: Callable[[int], str]) -> Iterator[str]:
        """Of lines that are held (R64)."""
        for line in data["lines"]:
            name, minor, left = line["line_id"], line["refund_minor"], self.lines.get(line["line_id"], 0)
            if name in self.final or name in self.frozen or name in self.paid_out:
                yield f"line {name} gives back {say(minor)}, but is not held"
            if minor > left or (all_of_it and minor < left):
                yield f"of line {name} {say(left)} are left, and {say(minor)} go back"
            self.lines[name] = left if all_of_it else left - minor
            self.held -= minor
            if all_of_it:
                self.final.add(name)
        self.refunded += data["refund_minor"]

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
            if data["final"]:
                self.final.add(name)
            else:
                self.paid_out[name] = data["settlement_id"]
        self.released += data["release_minor"]
        if not data["final"]:
            self.releases[data["settlement_id"]] = data["release_minor"]
        yield from self._takes(data, self._of(data["release_minor"]), 0, say)

    def _of(self, minor: int) -> int:
        return minor * self.commission_bps // 10_000

    def _takes(self, data: Mapping[str, Any], taken: int, returned: int, say: Callable[[int], str]) -> Iterator[str]:
        said = data.get("commission_minor", 0), data.get("commission_returned_minor", 0)
        self.commission += said[0] - said[1]
        if said != (taken, returned):
            words = f"commission {say(said[0])} and back {say(said[1])}"
            yield f"{data['settlement_id']} says {words}; by its rate {say(taken)} and {say(returned)}"

    def _settles(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        payout = chargeback = returned = 0
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
                left = self.releases[self.paid_out[name]]
                returned += self._of(left) - self._of(left - refund)
                self.releases[self.paid_out[name]] = left - refund
            else:
                self.disputed -= self.lines.get(name, 0)
                self.released += release
                payout += release
        self.refunded += data["refund_minor"]
        yield from self._takes(data, self._of(payout), returned, say)
        payout, chargeback = payout - self._of(payout), chargeback - returned
        if (payout, chargeback) != (data["payout_minor"], data["chargeback_minor"]):
            said = f"payout {say(data['payout_minor'])}, charge-back {say(data['chargeback_minor'])}"
            yield f"{data['settlement_id']} is to move {said}; by its lines {say(payout)} and {say(chargeback)}"
