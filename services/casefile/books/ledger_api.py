"""The books of all orders over HTTP, for operators: entries, balances, a day, and a bank's file beside them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Header, Query
from starlette.responses import Response

from services.casefile.books import bank_file
from services.casefile.books.bank_file import BankFile, MatchShown, NoBankFile
from services.casefile.books.ledger_csv import as_csv
from services.casefile.books.ledger_reading import (
    BalancesShown,
    EntryFilter,
    EntryRows,
    EntryShown,
    LedgerTables,
    StatementShown,
)
from services.casefile.front.answering import PROBLEMS, answer, version
from services.casefile.front.api import At, Cursor, Word
from services.casefile.front.signin import SignedIn
from services.casefile.front.turned_away import Wrong
from services.casefile.operating.operators import answered, fresh, operators_alone
from services.casefile.shown.shapes import PAGE_MAX, Page

ROWS = 100
CSV_ROWS_MAX = 10_000
"""At a time, where they are asked for as CSV."""
COMPARED_MAX = 20_000
"""Entries of the days that one bank's file is compared with."""
DAYS_MAX = 92
CSV = "text/csv"
SETTLED_AFTER = timedelta(minutes=5)
"""After midnight; so far a service may be behind its topics and be well."""
Account = Annotated[
    str | None,
    Query(
        pattern=r"^[\x20-\x7e]{1,200}$",
        description="one account, or all of a class: buyers, sellers, escrow, platform:commission …",
    ),
]


def ledger_router(tables: LedgerTables) -> APIRouter:
    """All of `/v1/ledger`."""
    router = APIRouter(prefix="/v1/ledger", responses=PROBLEMS, tags=["ledger"])

    @router.get(
        "/entries",
        response_model=Page[EntryShown],
        responses={200: {"content": {CSV: {}}, "description": "as JSON or, if `Accept` says `text/csv`, as CSV"}},
    )
    async def entries(
        asked: SignedIn,
        since: Annotated[At | None, Query(alias="from", description="booked then or later")] = None,
        until: Annotated[At | None, Query(alias="to", description="booked before")] = None,
        account: Account = None,
        order_id: Annotated[str | None, Query(pattern=Word)] = None,
        reference: Annotated[
            str | None,
            Query(pattern=r"^[^\x00]{1,255}$", description="the provider's, a payment key, or the buyer's payment"),
        ] = None,
        cursor: Cursor = None,
        limit: Annotated[int | None, Query(ge=1, le=CSV_ROWS_MAX, description=f"JSON: at most {PAGE_MAX}")] = None,
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """What was booked, in the order of its instants (R22)."""
        operators_alone(asked, "the ledger")
        is_csv = CSV in (accept or "")
        rows_max = CSV_ROWS_MAX if is_csv else PAGE_MAX
        if limit is not None and limit > rows_max:
            raise Wrong(f"A page has 1 to {rows_max} rows.", "limit")
        wanted = EntryFilter(since, until, account, order_id, reference)
        rows = await answered(tables.entries(wanted, cursor, limit or (CSV_ROWS_MAX if is_csv else ROWS)))
        fresh(rows.as_of)
        if is_csv:
            return _as_csv(rows, wanted, limit)
        return answer(Page[EntryShown](items=list(rows.entries), next=rows.next, as_of=rows.as_of))

    @router.get("/balances", response_model=BalancesShown)
    async def balances(
        asked: SignedIn, at: Annotated[At | None, Query(description="as it was then; else as it is")] = None
    ) -> Response:
        """What each class of accounts holds."""
        operators_alone(asked, "balances")
        as_of = fresh(await answered(tables.as_of()))
        if at is not None and at > datetime.now(UTC):
            raise Wrong("That instant has not come yet.", "at")
        at = at or as_of.at
        found = await answered(tables.balances(at))
        return answer(BalancesShown(at=at, balances=list(found), as_of=as_of))

    @router.get("/statement", response_model=StatementShown)
    async def statement(
        asked: SignedIn,
        day: Annotated[
            str, Query(pattern=r"^\d{4}-\d\d-\d\d$", description="UTC", json_schema_extra={"format": "date"})
        ],
    ) -> Response:
        """A day: opening + came - left = closing for each class of accounts; and what is open now, by age."""
        operators_alone(asked, "a statement")
        on = _day(day)
        as_of = fresh(await answered(tables.as_of()))
        lines = await answered(tables.statement(on))
        items = await answered(tables.open_items(datetime.now(UTC)))
        ends = datetime.combine(on + timedelta(days=1), time(), UTC)
        shown = StatementShown(
            day=day,
            is_over=as_of.at > ends + SETTLED_AFTER,
            lines=list(lines),
            open_items=list(items),
            as_of=as_of,
        )
        return answer(shown)

    @router.post("/match", response_model=MatchShown)
    async def match(
        asked: SignedIn,
        content: Annotated[bytes, Body(media_type=CSV, description="UTF-8, with a header: reference, amount, date")],
        since: Annotated[str | None, Query(alias="from", pattern=r"^\d{4}-\d\d-\d\d$")] = None,
        until: Annotated[str | None, Query(alias="to", pattern=r"^\d{4}-\d\d-\d\d$")] = None,
        currency: Annotated[str | None, Query(pattern=r"^[A-Z]{3}$", description="of lines that name none")] = None,
    ) -> Response:
        """A bank's file beside the books of its days, or of those that are named (UTC). Changes nothing."""
        operators_alone(asked, "a bank's file")
        return answer(await compared(tables, content, since, until, currency))

    return router


async def compared(
    tables: LedgerTables, content: bytes, since: str | None, until: str | None, currency: str | None
) -> MatchShown:
    """A bank's file beside the books of its days, or of those that are named. Raises Wrong."""
    try:
        file = bank_file.read(content, currency)
    except NoBankFile as problem:
        raise Wrong(str(problem)) from None
    first, last = _days(file, since, until)
    as_of = fresh(await answered(tables.as_of()))
    referred = await answered(tables.referred(file.references))
    found = bank_file.match(file, referred, await _booked(tables, first, last))
    return MatchShown(
        since=first.isoformat(),
        until=last.isoformat(),
        matched=list(found.matched),
        differs=list(found.differs),
        only_here=list(found.only_here),
        only_there=list(found.only_there),
        refused=list(file.refused),
        as_of=as_of,
    )


def _as_csv(rows: EntryRows, wanted: EntryFilter, limit: int | None) -> Response:
    """What follows is named as RFC 8288 has it."""
    headers = {"etag": version(rows.as_of), "content-disposition": 'attachment; filename="ledger.csv"'}
    if rows.next is not None:
        asked = {
            "from": wanted.since and wanted.since.isoformat(),
            "to": wanted.until and wanted.until.isoformat(),
            "account": wanted.account,
            "order_id": wanted.order_id,
            "reference": wanted.reference,
            "limit": limit,
            "cursor": rows.next,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        headers["link"] = f'</v1/ledger/entries?{query}>; rel="next"'
    return Response(as_csv(rows.entries), headers=headers, media_type=CSV)


async def _booked(tables: LedgerTables, first: date, last: date) -> list[EntryShown]:
    """Of all these days. Raises Wrong: they are too many."""
    begins = datetime.combine(first, time(), UTC)
    ends = datetime.combine(last + timedelta(days=1), time(), UTC)
    rows = await answered(tables.entries(EntryFilter(begins, ends), None, COMPARED_MAX))
    if rows.next is not None:
        raise Wrong(f"More than {COMPARED_MAX:,} entries were booked on these days: compare fewer at a time.", "from")
    return list(rows.entries)


def _day(said: str, field: str = "day") -> date:
    try:
        day = date.fromisoformat(said)
        _ = day + timedelta(days=1)  # the last there is has no end
        return day
    except (ValueError, OverflowError):
        raise Wrong("There is no such day.", field) from None


def _days(file: BankFile, since: str | None, until: str | None) -> tuple[date, date]:
    """Those that are named, else those of the file."""
    found = file.days
    if found is None and (since is None or until is None):
        raise Wrong("It has no line that can be read, so its days are unknown: name them.", "from")
    first = _day(since, "from") if since else found[0] if found else date.max
    last = _day(until, "to") if until else found[1] if found else date.min
    if first > last:
        raise Wrong("The first day comes after the last.", "from")
    if (last - first).days > DAYS_MAX:
        raise Wrong(f"At most {DAYS_MAX} days are compared at a time.", "from")
    return first, last
