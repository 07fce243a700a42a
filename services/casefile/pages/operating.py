"""The pages of operators: what is stuck, the money of all orders, and the policies side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from schemas.policy import Policy
from services.casefile.books.ledger_api import COMPARED_MAX, ROWS, compared
from services.casefile.books.ledger_csv import as_csv
from services.casefile.books.ledger_reading import EntryFilter, LedgerTables
from services.casefile.front.desk import WORD, Desk
from services.casefile.front.turned_away import Hidden, Wrong
from services.casefile.laboratory.policies_api import WhatIfAsked, tried
from services.casefile.operating.operators import answered, fresh, operators_alone
from services.casefile.operating.planning import PlanApplied, PlanAsked
from services.casefile.operating.refused import KIND, refused
from services.casefile.operating.stuck import stuck_shown
from services.casefile.operating.stuck_api import OperatorsDesk
from services.casefile.pages.forms import typed_of
from services.casefile.pages.viewing import signed_in
from services.casefile.pages.visit import Visit
from services.casefile.shown.shapes import Stuck

STUCK_ROWS = 50
MEANT = ("what", "topic", "reason", "id", "service", "mediator")
"""Which things a plan is about (`PlanAsked`)."""


@dataclass(frozen=True)
class OperatorsTables:
    """What these pages are made of, besides the desk's own."""

    operators: OperatorsDesk
    ledger: LedgerTables


class Operating:
    """Every method answers with HTML, or raises TurnedAway."""

    def __init__(self, desk: Desk, tables: OperatorsTables) -> None:
        self.desk, self.tables = desk, tables

    async def stuck(self, visit: Visit, request: Request) -> str:
        operators_alone(signed_in(visit), "what is stuck")
        kind = _word(request, "kind")
        counts = await answered(self.tables.operators.stuck.counts())
        rows = await answered(self.tables.operators.stuck.stuck(kind, request.query_params.get("cursor"), STUCK_ROWS))
        fresh(rows.as_of)
        items = [stuck_shown(row) for row in rows.rows]
        if "cursor" not in request.query_params and kind in (None, KIND):
            items = [*await refused(self.tables.operators.services), *items]
        return visit.made(
            "stuck.html",
            items=[(one, _act_address(one, visit)) for one in items],
            counts=counts,
            kind=kind,
            next=rows.next,
            now=self.desk.clock(),
            as_of=rows.as_of,
        )

    async def plan(self, visit: Visit, request: Request) -> str:
        """Many things at once: first their list, then exactly that list, by its token. `done`: it was carried out."""
        asked, sent = signed_in(visit), dict(request.query_params)
        if request.method == "POST":
            sent = {name: str(value) for name, value in (await request.form()).items()}
        operators_alone(asked, "a plan")
        meant = {name: sent[name] for name in MEANT if sent.get(name)}
        to = [one.strip() for one in sent.get("to", "").split("\n") if one.strip()]
        shown, problem, planner = None, None, self.tables.operators.planner
        try:
            if request.method == "POST":
                applied = PlanApplied.model_validate(
                    {**meant, "to": to, "token": sent.get("token", ""), "why": sent.get("why", "")}
                )
                shown = await answered(planner.apply(asked, applied))
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
        except Wrong as wrong:
            problem = wrong.sentence
        done = shown is not None
        if shown is None:
            try:
                shown = await answered(planner.plan(asked, PlanAsked.model_validate({**meant, "to": to})))
            except ValidationError:
                raise Wrong("There is no such plan.", "what") from None
        return visit.made(
            "plan.html",
            shown=shown,
            done=done,
            problem=problem,
            meant={**meant, **({"to": "\n".join(to)} if to else {})},
            why=sent.get("why", ""),
            as_of=fresh(shown.as_of),
        )

    async def money(self, visit: Visit, request: Request) -> str:
        """One day, UTC; what is open as of now; the first entries of that day."""
        operators_alone(signed_in(visit), "a statement")
        day = self._day(request)
        as_of = fresh(await answered(self.tables.ledger.as_of()))
        wanted = _of_day(day, _word(request, "account"))
        entries = await answered(self.tables.ledger.entries(wanted, request.query_params.get("cursor"), ROWS))
        return visit.made(
            "money.html",
            day=day,
            before=day - timedelta(days=1),
            after=day + timedelta(days=1),
            lines=await answered(self.tables.ledger.statement(day)),
            open_items=await answered(self.tables.ledger.open_items(self.desk.clock())),
            entries=entries.entries,
            account=wanted.account or "",
            next=entries.next,
            as_of=as_of,
        )

    async def entries_csv(self, visit: Visit, request: Request) -> Response:
        """All entries of a day, for a spreadsheet. Raises Wrong: they are too many."""
        operators_alone(signed_in(visit), "the ledger")
        day = self._day(request)
        wanted = _of_day(day, _word(request, "account"))
        rows = await answered(self.tables.ledger.entries(wanted, None, COMPARED_MAX))
        fresh(rows.as_of)
        if rows.next is not None:
            raise Wrong(f"More than {COMPARED_MAX:,} entries: ask /v1/ledger/entries for them in pages.", "day")
        named = {"content-disposition": f'attachment; filename="ledger-{day}.csv"'}
        return Response(as_csv(rows.entries), headers=named, media_type="text/csv")

    async def match(self, visit: Visit, request: Request) -> str:
        """A bank's file beside the books. Changes nothing."""
        operators_alone(signed_in(visit), "a bank's file")
        sent = await request.form()
        file = sent.get("file")
        if not isinstance(file, UploadFile):
            raise Wrong(visit.words.word("wrong_missing"), "file")
        currency = str(sent.get("currency") or "").strip().upper() or None
        shown = await compared(self.tables.ledger, await file.read(), None, None, currency)
        return visit.made("match.html", shown=shown, as_of=shown.as_of)

    def _day(self, request: Request) -> date:
        said = request.query_params.get("day")
        try:
            day = self.desk.clock().date() if said is None else date.fromisoformat(said)
            _ = day - timedelta(days=1), day + timedelta(days=1)
        except (ValueError, OverflowError):
            raise Wrong("There is no such day.", "day") from None
        return day


class Rules:
    """The policies in force, for operators and mediators."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def policies(self, visit: Visit, request: Request) -> str:
        """All versions of a name side by side; what differs from the version before is marked."""
        if signed_in(visit).role not in ("operator", "mediator"):
            raise Hidden
        known = self.desk.policies().by_ref
        names = sorted({ref.name for ref in known})
        name = request.query_params.get("name") or next(iter(names), "")
        versions = sorted((ref.version, policy) for ref, policy in known.items() if ref.name == name)
        if names and not versions:
            raise Hidden
        return visit.made(
            "policies.html",
            names=names,
            name=name,
            versions=[version for version, _ in versions],
            keys=_side_by_side([policy for _, policy in versions]),
        )

    async def what_if(self, visit: Visit, request: Request) -> str:
        """What a draft would have changed: the form, and what it comes to or what is wrong with the draft."""
        asked = signed_in(visit)
        operators_alone(asked, "what a policy would have changed")
        sent = await request.form()
        shown, problems = None, dict[str, str]()
        said = {name: str(sent.get(name) or "").replace("\r\n", "\n") for name in ("draft", "under", "after")}
        if request.method == "POST":
            try:
                wanted = WhatIfAsked(draft=said["draft"], under=said["under"] or None, after=said["after"] or None)
                shown = await tried(self.desk, asked, wanted)
            except ValidationError as error:
                problems = {str(one["loc"][0]): one["msg"] for one in error.errors()}
            except Wrong as wrong:
                problems = {wrong.field or "draft": wrong.sentence}
        return visit.made("what_if.html", typed=said, shown=shown, problems=problems)


def _side_by_side(policies: list[Policy]) -> list[tuple[str, str, list[str], bool]]:
    """(key, what it is, what each says, whether they differ)."""
    dumped = [policy.model_dump(mode="json") for policy in policies]
    found = []
    for key, model in Policy.model_fields.items():
        if key not in ("name", "version"):
            said = [_told(one[key]) for one in dumped]
            found.append((key, model.description or "", said, len(set(said)) > 1))
    return found


def _told(value: Any) -> str:
    match value:
        case {"n": n, "unit": unit}:
            return f"{n} {unit.replace('_', ' ')}"
        case bool() | None:
            return str(value).lower().replace("none", "null")
        case _:
            return str(value)


def _word(request: Request, name: str) -> str | None:
    """None: it is not asked by. Raises Wrong."""
    said = request.query_params.get(name) or None
    if said is not None and not WORD.fullmatch(said):
        raise Wrong("Nothing is called so.", name)
    return said


def _of_day(day: date, account: str | None) -> EntryFilter:
    begins = datetime.combine(day, time(), UTC)
    return EntryFilter(begins, begins + timedelta(days=1), account)


def _act_address(one: Stuck, visit: Visit) -> str | None:
    """Of the form of the command that frees it."""
    act: Mapping[str, Any] | None = one.act
    if act is None or one.order_id is None:
        return None
    fixed = {f"fixed:{name}": text for name, text in typed_of(act["data"], "", visit.words).items()}
    query = f"?{urlencode(fixed)}" if fixed else ""
    return f"/orders/{one.order_id}/acts/{act['type'].rpartition('.v')[0]}{query}"
