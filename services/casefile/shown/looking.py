"""One order as one person looks at it, at one instant: what all that is shown of it is made of."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from schemas.order.events import Placed
from schemas.wire import Reply
from services.casefile.foresight.acts import Acts, Silence
from services.casefile.foresight.oracle import Outlook, remembered
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.rows import case_row, order_row
from services.casefile.shown.shapes import CaseRow, OrderRow
from services.casefile.shown.told import ToldEvent, as_it_was, for_him, told
from services.casefile.shown.whose import Owners, owners
from services.casefile.shown.words import Locale
from shared.kernel.policies import Policies


class Look:
    """`at`: the instant that is looked at; None: `now`. Raises PolicyMissing when it comes to what would be, where the
    order lives under rules that are not known here."""

    def __init__(
        self, found: Found, policies: Policies, asked: Asked, now: datetime, at: datetime | None, locale: Locale
    ) -> None:
        self.whose: Owners = owners(found)
        self.found = found if at is None else as_it_was(found, at)
        self.policies, self.asked, self.locale = policies, asked, locale
        self.at = now if at is None else at
        self.told = told(self.found)

    @property
    def may_look(self) -> bool:
        """Whether he has or had a part in it, and there was an order by then."""
        return self.whose.may_look(self.asked) and self.placed is not None

    def may_look_into(self, dispute_id: str) -> bool:
        """A mediator looks into the disputes that he has or had."""
        return self.asked.role != "mediator" or (dispute_id, self.asked.id) in self.whose.mediators

    @cached_property
    def placed(self) -> ToldEvent | None:
        return next((one for one in self.told if isinstance(one.event, Placed)), None)

    @property
    def currency(self) -> str:
        return "" if self.placed is None else str(self.placed.event.currency)

    @cached_property
    def seen(self) -> list[ToldEvent]:
        """What of it is for him."""
        return [one for one in for_him(self.told, self.asked) if self._is_his(one)]

    def _is_his(self, one: ToldEvent) -> bool:
        """An answer to himself is, whatever he asked about."""
        return isinstance(one.event, Reply) or one.dispute_id is None or self.may_look_into(one.dispute_id)

    @cached_property
    def order(self) -> OrderRow:
        row: OrderRow | None = None
        for one in self.told:
            row = order_row(row, one.event, one.at)
        assert row is not None
        return row

    @cached_property
    def cases(self) -> Mapping[str, CaseRow]:
        """The disputes that there are, in the order in which they came."""
        rows: dict[str, CaseRow | None] = {}
        for one in self.told:
            if one.dispute_id is not None:
                rows[one.dispute_id] = case_row(rows.get(one.dispute_id), one.event, one.at)
        return {dispute_id: row for dispute_id, row in rows.items() if row is not None}

    def row(self, dispute_id: str) -> CaseRow:
        return self.cases[dispute_id]

    @cached_property
    def outlook(self) -> Outlook:
        return remembered(self.found.order_id, self.found.records, self.found.roster, self.policies, self.at)

    @cached_property
    def silence(self) -> Silence:
        return Silence(self.outlook)

    @cached_property
    def acts(self) -> Acts:
        return Acts(self.outlook, self.found.order_id, [one.event for one in self.told], self.silence)
