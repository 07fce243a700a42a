"""The desk at which everybody asks: JSON and pages show what it gives, and nothing else.

It knows whose an order is, shows each what is his, lets an operator look through the eyes of others, hands commands to
the bus, and sends nobody away without a sentence (`turned_away`).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from schemas.instants import from_ms, to_ms
from schemas.visibility import Viewer
from services.casefile.front.turned_away import Away, Behind, Busy, Hidden, NotAllowed, Wrong
from services.casefile.front.uttering import Sender, command_model, command_named, worded
from services.casefile.front.working import Memo, Workers
from services.casefile.shown.answered import show_command
from services.casefile.shown.reading import Asked, CaseFilter, CaseTables, Found, OrderFilter, Rows
from services.casefile.shown.rows import seen_by
from services.casefile.shown.shapes import (
    PAGE_MAX,
    AsOf,
    CaseRow,
    CaseShown,
    CommandShown,
    OrderRow,
    OrderShown,
    Page,
    PreviewShown,
)
from services.casefile.shown.showing import Locale, preview, show_case, show_order
from services.casefile.shown.whose import owners
from shared.kernel.codec import header
from shared.kernel.policies import Policies
from shared.kernel.ports import Outage

log = logging.getLogger(__name__)

BEHIND_SECONDS_MAX = 30.0
"""What is older is not shown as what is."""
WAIT_SECONDS_MAX = 30.0
"""So long an answer is waited for, at most …"""
WAITERS_MAX = 64
"""… by so many; who comes then is answered at once that it is on its way."""
ORDER_ID, WORD = re.compile(r"[A-Za-z0-9._:-]{1,64}"), re.compile(r"[\x20-\x7e]{1,512}")
LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS_MAX = 0.1, 1.0


class Desk:
    """`policies`: those in force. `asked` is who is signed in; `seen_as` lowers an operator to one of the people of
    what he looks at. Whoever gets no answer is TurnedAway."""

    def __init__(
        self,
        tables: CaseTables,
        policies: Callable[[], Policies],
        sender: Sender,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.tables, self.policies, self.sender, self.clock = tables, policies, sender, clock
        self.workers = Workers()
        self._memo = Memo(self.workers)
        self._waiters = 0

    async def case(
        self,
        asked: Asked,
        order_id: str,
        dispute_id: str,
        at: datetime | None = None,
        seen_as: Viewer | None = None,
        locale: Locale = "en",
    ) -> CaseShown:
        """`at`: as it was then. Raises Wrong for an instant that has not come yet."""
        found, viewer = await self._opened(asked, order_id, seen_as, dispute_id)
        policies, now = self.policies(), self._now(at)
        shown = await self._memo.told(
            (dispute_id, viewer, at, locale),
            found,
            policies,
            now,
            lambda: show_case(found, dispute_id, policies, viewer, now, at, locale),
        )
        if shown is None:
            raise Hidden
        return shown if at is not None else shown.model_copy(update={"at": now})

    async def order(
        self,
        asked: Asked,
        order_id: str,
        at: datetime | None = None,
        seen_as: Viewer | None = None,
        locale: Locale = "en",
    ) -> OrderShown:
        """`at`: as it was then. Raises Wrong for an instant that has not come yet."""
        found, viewer = await self._opened(asked, order_id, seen_as)
        policies, now = self.policies(), self._now(at)
        shown = await self._memo.told(
            (None, viewer, at, locale),
            found,
            policies,
            now,
            lambda: show_order(found, policies, viewer, now, at, locale),
        )
        if shown is None:
            raise Hidden
        return shown if at is not None else shown.model_copy(update={"at": now})

    async def cases(
        self,
        asked: Asked,
        wanted: CaseFilter,
        cursor: str | None = None,
        limit: int = PAGE_MAX,
        seen_as: Viewer | None = None,
        who: str | None = None,
    ) -> Page[CaseRow]:
        """`who`: whose list an operator sees; of a mediator it is whose cases he wants, if he names nobody."""
        named = wanted.mediator if seen_as == "mediator" else None
        viewer = _whose_list(asked, seen_as, who or named)
        _sound(wanted, cursor)
        rows = await self._listed(self.tables.cases(viewer, wanted, cursor, _within(limit)))
        return Page(items=[seen_by(row, viewer.role) for row in rows.cases], next=rows.next, as_of=rows.as_of)

    async def orders(
        self,
        asked: Asked,
        wanted: OrderFilter,
        cursor: str | None = None,
        limit: int = PAGE_MAX,
        seen_as: Viewer | None = None,
        who: str | None = None,
    ) -> Page[OrderRow]:
        """`who`: whose list an operator sees; the buyer or seller of whom he wants them, if he names nobody."""
        named = {"buyer": wanted.buyer, "seller": wanted.seller}.get(seen_as or "")
        viewer = _whose_list(asked, seen_as, who or named)
        _sound(wanted, cursor)
        rows = await self._listed(self.tables.orders(viewer, wanted, cursor, _within(limit)))
        return Page(items=list(rows.orders), next=rows.next, as_of=rows.as_of)

    async def preview(
        self,
        asked: Asked,
        order_id: str,
        type_: str,
        data: Mapping[str, Any],
        dispute_id: str | None = None,
        seen_as: Viewer | None = None,
        locale: Locale = "en",
    ) -> PreviewShown:
        """What it would come to if he said it now; nothing is sent. A refusal by the services is an outcome, too.
        `dispute_id`: of which it is, unless the data say so."""
        found, viewer = await self._opened(asked, order_id, seen_as, dispute_id)
        model, said = command_model(type_), dict(data)
        if dispute_id is not None:
            await self.case(asked, order_id, dispute_id, None, seen_as, locale)  # raises Hidden if it is not his
            if "dispute_id" in model.model_fields and said.setdefault("dispute_id", dispute_id) != dispute_id:
                raise Wrong("It names another dispute than the address does.", "dispute_id")
        worded(viewer, order_id, model.type, said)
        policies, now = self.policies(), self.clock()
        try:
            shown = await self.workers.done(lambda: preview(found, policies, viewer, model.type, said, now, locale))
        except ValueError as error:
            raise Wrong(str(error), "data") from None
        return PreviewShown(**dict(shown), as_of=found.as_of)

    async def command(self, asked: Asked, order_id: str, command_id: str, locale: Locale = "en") -> CommandShown:
        """What became of it. Hidden, too, while nothing is known of it."""
        found, viewer = await self._opened(asked, order_id)
        shown = await self._command(found, command_id, viewer, locale)
        if shown is None:
            raise Hidden
        return shown

    async def send(
        self,
        asked: Asked,
        order_id: str,
        type_: str,
        data: Mapping[str, Any],
        command_id: str | None = None,
        wait_seconds: float = 0.0,
        locale: Locale = "en",
        trace: Mapping[str, str] | None = None,
    ) -> CommandShown:
        """Hands it to the bus, waits for its answer if told to, and tells what is known of it by then. The same id
        again is the same command (R81). Of an order that is not his nothing is sent: the services' answer would tell
        that there is one.

        Raises Away where nobody knows whether it is on the bus: it is to be sent again under the same id.
        """
        command = worded(asked, order_id, type_, data)
        id_ = str(uuid4()) if command_id is None else command_named(command_id)
        before = await self._before(asked, order_id)
        with _answering():
            await self.sender.send(command, id_, trace or {})
        pending = CommandShown(
            order_id=order_id,
            command_id=id_,
            type=command.type.rpartition(".")[0],
            status="pending",
            is_final=False,
            answers=[],
            as_of=before.as_of if before is not None else await self._as_of(),
        )
        if wait_seconds <= 0 or self._waiters >= WAITERS_MAX:
            return pending
        self._waiters += 1
        try:
            return await self._answer(pending, before, asked, min(wait_seconds, WAIT_SECONDS_MAX), locale)
        finally:
            self._waiters -= 1

    async def _before(self, asked: Asked, order_id: str) -> Found | None:
        """What is known when a command is sent. None: operators may speak of what is not known yet."""
        with _answering():
            found = await self.tables.find(order_id)
        if asked.role == "operator" or (found is not None and owners(found).may_look(asked)):
            return found
        _fresh(await self._as_of())  # he may have become one of its people since
        raise Hidden

    async def _answer(
        self, shown: CommandShown, before: Found | None, asked: Asked, wait_seconds: float, locale: Locale
    ) -> CommandShown:
        """What was said before it was sent is no answer to it: a repeat gets its own word."""
        loop = asyncio.get_running_loop()
        ends, heard, pause = loop.time() + wait_seconds, _replies(before, shown.command_id), LOOK_AGAIN_SECONDS
        while not shown.is_final and loop.time() < ends:
            await asyncio.sleep(min(pause, max(0.0, ends - loop.time())))
            pause = min(1.5 * pause, LOOK_AGAIN_SECONDS_MAX)
            try:
                with _answering():
                    found = await self.tables.find(shown.order_id)
                if found is not None and _replies(found, shown.command_id) > heard:
                    heard = _replies(found, shown.command_id)
                    shown = await self._command(found, shown.command_id, asked, locale) or shown
            except (Away, Busy):
                continue  # it is on the bus all the same
        return shown

    async def _command(self, found: Found, command_id: str, viewer: Asked, locale: Locale) -> CommandShown | None:
        return await self.workers.done(lambda: show_command(found, command_id, viewer, locale))

    async def _opened(
        self, asked: Asked, order_id: str, seen_as: Viewer | None = None, dispute_id: str | None = None
    ) -> tuple[Found, Asked]:
        """The order's records, and through whose eyes they are looked at."""
        _may_lower(asked, seen_as)
        if not ORDER_ID.fullmatch(order_id):
            raise Hidden
        with _answering():
            found = await self.tables.find(order_id)
        _fresh(found.as_of if found is not None else await self._as_of())
        if found is None:
            raise Hidden
        whose = owners(found)
        if not whose.may_look(asked):
            raise Hidden
        if asked.role == "operator":
            log.info("an operator looks", extra={"operator": asked.id, "order": order_id, "seen_as": seen_as})
        if seen_as in (None, asked.role):
            return found, asked
        person = whose.person(seen_as, dispute_id)
        if person is None:
            raise Wrong(f"There is no {seen_as} through whose eyes it could be seen.", "as")
        return found, Asked(seen_as, person)

    async def _listed(self, asking: Awaitable[Rows]) -> Rows:
        try:
            with _answering():
                rows = await asking
        except ValueError:
            raise Wrong("No list gave this cursor.", "cursor") from None
        _fresh(rows.as_of)
        return rows

    async def _as_of(self) -> AsOf:
        with _answering():
            return await self.tables.as_of()

    def _now(self, at: datetime | None) -> datetime:
        now = from_ms(to_ms(self.clock()))
        if at is not None and at > now:
            raise Wrong("That instant has not come yet.", "at")
        return now


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except Outage:
        raise Away("A server behind the case file does not answer.") from None


def _fresh(as_of: AsOf) -> None:
    if as_of.behind_seconds > BEHIND_SECONDS_MAX:
        raise Behind(f"The case file is {as_of.behind_seconds:.0f} seconds behind what is said.")


def _may_lower(asked: Asked, seen_as: Viewer | None) -> None:
    if seen_as not in (None, asked.role) and asked.role != "operator":
        raise NotAllowed(f"Operators alone look through the eyes of others; you are signed in as {asked.role}.", "as")


def _whose_list(asked: Asked, seen_as: Viewer | None, who: str | None) -> Asked:
    _may_lower(asked, seen_as)
    if seen_as in (None, asked.role):
        return asked
    if who is None:
        raise Wrong(f"Whose list it is, as {seen_as}, is missing.", "who")
    return Asked(seen_as, who)


def _sound(wanted: CaseFilter | OrderFilter, cursor: str | None) -> None:
    """No table is asked for what no order holds."""
    for name, value in [*vars(wanted).items(), ("cursor", cursor)]:
        if isinstance(value, str) and not WORD.fullmatch(value):
            raise Wrong("That is neither an id nor a word of ours.", name)


def _within(limit: int) -> int:
    if not 1 <= limit <= PAGE_MAX:
        raise Wrong(f"A page has 1 to {PAGE_MAX} rows.", "limit")
    return limit


def _replies(found: Found | None, command_id: str) -> int:
    """How often it was answered, or set aside."""
    if found is None:
        return 0
    causes = (header(record.headers, "ce_causationid") for record in found.records)
    set_aside = (header(record.headers, "ce_id") for record in found.dead_letters)
    return sum(id_ == command_id for ids in (causes, set_aside) for id_ in ids)
