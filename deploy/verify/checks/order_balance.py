"""Where the money of one order is by what the order service says: told from its events, not by its code.

Money moves by the amounts the events state, lines by their names; where the two do not go together, that is said.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.verify.checks.pieces import Lines, name_of

FIRST_PARCEL = "1"
"""Of which an event is about that names none."""
PLACES = ("unshipped", "held", "disputed", "released", "refunded")


@dataclass
class OrderBalance:
    """In minor units. A released line's money stays released while the line is disputed (R7)."""

    captured: int = 0
    unshipped: int = 0
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
    lines: Lines = field(default_factory=Lines)
    parcels: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> bool:
        """The end of protection, or of the time to ship, will move something; nothing of it, where all was given back,
        or of gifts."""
        return any(part.is_held or part.is_unshipped for part in self.lines.parts)

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
                self.lines = Lines.of(data)
                self.currency, self.commission_bps = data["currency"], data.get("commission_bps", 0)
                if data.get("status") != "awaiting_payment":
                    self.captured, self.unshipped = data["payment"]["amount_minor"], self.lines.left
            case "order.paid.v1":
                if self.captured:
                    yield "paid twice"
                self.captured, self.unshipped = data["amount_minor"], self.lines.left
            case "order.cancelled.v1":
                if self.parcels:
                    yield f"cancelled, and shipped in {len(self.parcels)} parcels"
                for part in self.lines.parts:
                    part.final = True
                self.unshipped -= data["refund_minor"]
                self.refunded += data["refund_minor"]
            case "order.shipped.v1":
                yield from self._ships(data)
            case "order.tracking_corrected.v1" | "order.tracking_reported.v1":
                if (parcel := data.get("parcel_id", FIRST_PARCEL)) not in self.parcels:
                    yield f"{type_} is about the parcel {parcel}, which was never sent"
            case "order.lines_cancelled.v1":
                yield from self._cancels(data, say)
            case "order.refunded.v1":
                yield from self._gives_back(data, say)
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
                if self.unshipped or self.held or self.disputed:
                    where = f"{say(self.unshipped)} unshipped, {say(self.held)} held"
                    yield f"completed with {where} and {say(self.disputed)} disputed"

    def _freezes(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        for line in data["lines"]:
            parts, minor, name = self.lines.named(line), line["amount_minor"], name_of(line)
            if not parts or not all(part.is_free for part in parts) or minor != sum(part.left for part in parts):
                yield f"line {name} over {say(minor)} cannot be disputed as {data['dispute_id']}"
            if any(line["released"] != bool(part.settlement_id) for part in parts):
                yield f"line {name} over {say(minor)} is {'not ' * line['released']}released"
            for part in parts:
                part.dispute_id = data["dispute_id"]
            if not line["released"]:
                self.held -= minor
                self.disputed += minor
        last = {part.line_id: part.first for part in self.lines.parts if part.dispute_id == data["dispute_id"]}
        for part in self.lines.parts:
            if part.is_free and part.first < last.get(part.line_id, 0):
                yield f"line {part.line_id}: {data['dispute_id']} passes by piece {part.first}, which is free"

    def _ships(self, data: Mapping[str, Any]) -> Iterator[str]:
        """What is named, the lowest-numbered pieces first; where nothing is, all that there was to ship (R66)."""
        parcel, named = data.get("parcel_id", FIRST_PARCEL), data.get("lines")
        if parcel in self.parcels:
            yield f"the parcel {parcel} is sent again"
        self.parcels.add(parcel)
        sent = self.lines.unshipped() if named is None else [part for one in named for part in self.lines.named(one)]
        for line in named or ():
            parts, quantity = self.lines.named(line), line["quantity"]
            if not all(part.is_unshipped for part in parts) or quantity != sum(part.pieces for part in parts):
                yield f"line {name_of(line)}: {quantity} pieces cannot be shipped"
        for part in sent:
            if part.is_unshipped:
                self.unshipped -= part.left
                self.held += part.left
            part.shipped = True
        last = {part.line_id: part.first for part in sent}
        for part in self.lines.unshipped():
            if part.first < last.get(part.line_id, 0):
                yield f"line {part.line_id}: the parcel {parcel} passes by piece {part.first}, which is not shipped"

    def _cancels(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        """All that is left of what is not shipped (R64, R66)."""
        for line in data["lines"]:
            parts, minor, name = self.lines.named(line), line["refund_minor"], name_of(line)
            worth = sum(part.left for part in parts)
            if not parts or not all(part.is_unshipped for part in parts):
                yield f"line {name} over {say(minor)} is cancelled, but was shipped or gone"
            if minor != worth:
                yield f"of line {name} {say(worth)} are left, and {say(minor)} go back"
            self.unshipped -= minor
            for part in parts:
                part.final = True
        self.refunded += data["refund_minor"]

    def _gives_back(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        """Of lines in escrow (R64), the highest-numbered pieces first."""
        for line in data["lines"]:
            name, minor, escrow = line["line_id"], line["refund_minor"], self.lines.escrow(line["line_id"])
            left = sum(part.left for part in escrow)
            if not escrow:
                yield f"line {name} gives back {say(minor)}, but is not held"
            if minor > left:
                yield f"of line {name} {say(left)} are left, and {say(minor)} go back"
                self.held -= minor - left
            for part in escrow:
                back = min(part.left, minor)
                part.left, minor = part.left - back, minor - back
                if part.shipped:
                    self.held -= back
                else:
                    self.unshipped -= back
        self.refunded += data["refund_minor"]

    def _thaws(self, name: str, dispute_id: str) -> Iterator[str]:
        parts = self.lines.frozen(name, dispute_id)
        if not parts:
            yield f"line {name} comes back from {dispute_id}, but is disputed as {self.lines.owner(name)}"
        for part in parts:
            part.dispute_id = ""
            if not part.settlement_id:
                self.disputed -= part.left
                self.held += part.left

    def _releases(self, data: Mapping[str, Any], say: Callable[[int], str]) -> Iterator[str]:
        for line in data["lines"]:
            parts, minor, name = self.lines.named(line), line["amount_minor"], name_of(line)
            worth = sum(part.left for part in parts if not part.settlement_id)
            if any(part.final for part in parts):
                yield f"line {name} over {say(minor)} is released, but was settled"
            if not all(part.shipped for part in parts):
                yield f"line {name} over {say(minor)} is released, but was never shipped"
            if not parts or minor != worth:
                yield f"line {name} is worth {say(worth)} and releases {say(minor)}"
            if any(part.dispute_id for part in parts):
                self.disputed -= minor
            else:
                self.held -= minor
            for part in parts:
                part.dispute_id, part.final = "", data["final"]
                part.settlement_id = part.settlement_id if data["final"] else data["settlement_id"]
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
            parts, refund, release = self.lines.named(line), line["refund_minor"], line["release_minor"]
            owners = {part.dispute_id or "nothing" for part in parts} or {"nothing"}
            if owners != {data["dispute_id"]}:
                by, owner = data["dispute_id"], min(owners - {data["dispute_id"]})
                yield f"line {name_of(line)} is settled by {by}, but is disputed as {owner}"
            worth = sum(part.left for part in parts)
            if not parts or refund + release != worth:
                yield f"line {name_of(line)} is worth {say(worth)} and split into {say(refund)} and {say(release)}"
            released_by = {part.settlement_id for part in parts if part.settlement_id}
            if released_by:
                self.released -= refund
                chargeback += refund
                settlement = min(released_by)
                left = self.releases[settlement]
                returned += self._of(left) - self._of(left - refund)
                self.releases[settlement] = left - refund
            else:
                self.disputed -= worth
                self.released += release
                payout += release
            for part in parts:
                part.dispute_id, part.final = "", True
        self.refunded += data["refund_minor"]
        yield from self._takes(data, self._of(payout), returned, say)
        payout, chargeback = payout - self._of(payout), chargeback - returned
        if (payout, chargeback) != (data["payout_minor"], data["chargeback_minor"]):
            said = f"payout {say(data['payout_minor'])}, charge-back {say(data['chargeback_minor'])}"
            yield f"{data['settlement_id']} is to move {said}; by its lines {say(payout)} and {say(chargeback)}"
