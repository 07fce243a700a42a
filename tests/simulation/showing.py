"""Histories in which, before every word, the case file shows its speaker what would come of it; and, when all have
spoken, everybody where the order ends."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from schemas.visibility import view
from schemas.wire import Event, Message
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import Ahead, EndShown
from services.casefile.shown.showing import preview, show_order
from services.casefile.shown.told import would_see
from services.casefile.shown.whose import owners
from tests.simulation.actors import Wish
from tests.simulation.foresight import Compared, ForeseeingStage, Said, told
from tests.simulation.moments import Moment, moment
from tests.simulation.plan import RULES

VIEWERS = ("buyer", "seller", "mediator", "operator")


class ShowingStage(ForeseeingStage):
    async def _say(self, order_id: str, wish: Wish, command_id: str = "") -> str:
        compared, before = len(self.compared), moment(self.world, order_id)
        command = self._command(order_id, wish)
        heard = len(self.world.bus.heard)
        said = await super()._say(order_id, wish, command_id)
        if len(self.compared) > compared and wish.role in VIEWERS:
            asked = Asked(wish.role, wish.person)  # type: ignore[arg-type]
            if owners(before.found).may_look(asked) and before.found.records:
                outcome = preview(before.found, RULES, asked, command.type, wish.data, before.now)
                happened = self._shown_since(heard, order_id, asked)
                self.compared.append(Compared(f"{wish.name}, as shown", _ahead(outcome.at_once), happened))
        return said

    async def _end(self) -> None:
        await self._quiet()
        heard = len(self.world.bus.heard)
        before = [moment(self.world, order_id) for order_id in self.talk.orders]
        await super()._end()
        for one in before:
            if not self._somebody_acted(heard, one.found.order_id):
                for asked in one.everybody():
                    self._compare_end(one, asked, heard)

    def _compare_end(self, before: Moment, asked: Asked, heard: int) -> None:
        order_id = before.found.order_id
        shown = show_order(before.found, RULES, asked, before.now)
        assert shown is not None
        happened = self._shown_since(heard, order_id, asked)
        self.compared.append(
            Compared(f"nobody acts, as the {asked.role} is shown it", _ahead(shown.nobody_acts), happened)
        )
        lies = self._lies(order_id)
        ends = shown.ends.model_copy(update={"at": None})
        assert ends == lies, f"seed {self.plan.seed}, {order_id}: it was foreseen {ends}, and there is {lies}"
        was = {"buyer": 0, "seller": 0} | self._booked_since(before, order_id)
        moved = {side: sum(getattr(one, f"{side}_minor") for one in shown.nobody_acts) for side in ("buyer", "seller")}
        assert moved == was, f"seed {self.plan.seed}, {order_id}"

    def _lies(self, order_id: str) -> EndShown:
        """In the ledger by now."""
        sums = self._sums(order_id)
        return EndShown(
            at=None,
            buyer_minor=sums["buyer"],
            seller_minor=sums["seller"],
            commission_minor=sums["platform"],
            held_minor=sums["escrow"],
        )

    def _sums(self, order_id: str, but_for: Iterable[str] = ()) -> Counter[str]:
        sums: Counter[str] = Counter()
        known = set(but_for)
        for one in self.world.ledger.values():
            if one.order_id == order_id and one.id not in known:
                sums[one.entry.to_account.partition(":")[0]] += one.entry.amount_minor
                if one.event_type != "refund.captured.v1":
                    sums[one.entry.from_account.partition(":")[0]] -= one.entry.amount_minor
        return sums

    def _booked_since(self, before: Moment, order_id: str) -> dict[str, int]:
        known = {
            value.decode() for one in before.found.records for name, value in one.headers if name == "ce_id" and value
        }
        sums = self._sums(order_id, known)
        return {side: sums[side] for side in ("buyer", "seller")}

    def _shown_since(self, heard: int, order_id: str, asked: Asked) -> Mapping[str, list[Said]]:
        def seen() -> Iterator[Said]:
            for topic, type_, data in self._since(heard, order_id):
                event = Message.MODELS[type_].model_validate_json(json.dumps(data), extra="ignore")
                if isinstance(event, Event) and would_see(event, asked):
                    yield topic, type_.rpartition(".")[0], view(event, asked.role).data

        return told(seen())  # type: ignore[return-value]


def _ahead(lines: Iterable[Ahead]) -> Mapping[str, list[Said]]:
    return told((f"{one.event.partition('.')[0]}.events", one.event, one.data) for one in lines)  # type: ignore[return-value]
