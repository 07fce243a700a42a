"""What does not go on by itself over HTTP, what operators do about it, and notes on cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from schemas.instants import Instant
from services.casefile.front.answering import PROBLEMS, answer
from services.casefile.front.api import Cursor, Limit, Word
from services.casefile.front.signin import SignedIn
from services.casefile.front.turned_away import Hidden, NotAllowed, Wrong
from services.casefile.operating.operators import answered, fresh, operators_alone
from services.casefile.operating.own_store import NOTES_MAX, Note, OwnTables
from services.casefile.operating.planning import PlanApplied, PlanAsked, Planner, PlanShown
from services.casefile.operating.refused import KIND, refused
from services.casefile.operating.stuck import stuck_shown
from services.casefile.operating.stuck_store import StuckTables
from services.casefile.shown.reading import Asked, CaseTables
from services.casefile.shown.shapes import AsOf, Page, Shown, Stuck
from services.casefile.shown.whose import owners

ROWS = 50
ORDER = r"^[A-Za-z0-9._:-]{1,64}$"


class CountsShown(Shown):
    """How many things of each kind stand still; of dead letters how many reasons."""

    counts: dict[str, int]
    as_of: AsOf


class AuditedShown(Shown):
    """What an operator did by the case file."""

    number: int
    at: Instant
    operator: str
    what: str
    why: str
    order_id: str | None
    about: dict[str, Any]


class AuditShown(Shown):
    """The newest first."""

    items: list[AuditedShown]
    next: int | None = Field(description="`before` of those that follow; null: there are none")
    as_of: AsOf


class NoteShown(Shown):
    """On a case, for operators and mediators alone."""

    number: int
    at: Instant
    role: str
    person: str
    text: str


class NotesShown(Shown):
    """The oldest first."""

    items: list[NoteShown]
    as_of: AsOf


class NewNote(Shown):
    """What somebody notes."""

    text: str = Field(min_length=1, max_length=4_000, pattern=r"^[^\x00]*$")


@dataclass(frozen=True)
class OperatorsDesk:
    """All that these questions are answered by. `services`: name -> address, of those whose health is asked."""

    stuck: StuckTables
    own: OwnTables
    cases: CaseTables
    planner: Planner
    services: Mapping[str, str]


def stuck_router(desk: OperatorsDesk) -> APIRouter:
    router = APIRouter(prefix="/v1", responses=PROBLEMS, tags=["operators"])

    @router.get("/stuck", response_model=Page[Stuck])
    async def stuck(
        asked: SignedIn,
        kind: Annotated[str | None, Query(pattern=Word, description="parked, manual_review, dead_letter …")] = None,
        cursor: Cursor = None,
        limit: Limit = ROWS,
    ) -> Response:
        """Whatever does not go on by itself, the longest first; before it what services refuse, as of now."""
        operators_alone(asked, "what is stuck")
        rows = await answered(desk.stuck.stuck(kind, cursor, limit))
        fresh(rows.as_of)
        items = [stuck_shown(row) for row in rows.rows]
        if cursor is None and kind in (None, KIND):
            items = [*await refused(desk.services), *items]
        return answer(Page[Stuck](items=items, next=rows.next, as_of=rows.as_of))

    @router.get("/stuck/counts", response_model=CountsShown)
    async def counts(asked: SignedIn) -> Response:
        """How many of each kind."""
        operators_alone(asked, "what is stuck")
        as_of = fresh(await answered(desk.stuck.as_of()))
        return answer(CountsShown(counts=await answered(desk.stuck.counts()), as_of=as_of))

    @router.post("/plans", response_model=PlanShown)
    async def plan(asked: SignedIn, wanted: PlanAsked) -> Response:
        """What would be done to many things at once; nothing is."""
        operators_alone(asked, f"a plan: {wanted.what}")
        shown = await answered(desk.planner.plan(asked, wanted))
        fresh(shown.as_of)
        return answer(shown)

    @router.post("/plans/apply", response_model=PlanShown)
    async def apply(asked: SignedIn, wanted: PlanApplied) -> Response:
        """Exactly what the plan of this token showed; it is kept who did it, when and why."""
        operators_alone(asked, f"a plan is applied: {wanted.what}")
        fresh(await answered(desk.stuck.as_of()))
        return answer(await answered(desk.planner.apply(asked, wanted)))

    @router.get("/audit", response_model=AuditShown)
    async def audit(
        asked: SignedIn,
        order_id: Annotated[str | None, Query(pattern=ORDER)] = None,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Limit = ROWS,
    ) -> Response:
        """What operators did by the case file."""
        operators_alone(asked, "the audit")
        rows = await answered(desk.own.audit(order_id, before, limit + 1))
        as_of = await answered(desk.stuck.as_of())
        items = [AuditedShown(**{**one._asdict(), "about": dict(one.about)}) for one in rows[:limit]]
        return answer(AuditShown(items=items, next=items[-1].number if len(rows) > limit else None, as_of=as_of))

    @router.get("/cases/{order_id}/{dispute_id}/notes", response_model=NotesShown)
    async def notes(asked: SignedIn, order_id: str, dispute_id: str) -> Response:
        """What operators and its mediators noted on a case."""
        await _may_note(desk.cases, asked, order_id, dispute_id)
        found = await answered(desk.own.notes(order_id, dispute_id))
        return answer(NotesShown(items=[_note(one) for one in found], as_of=await answered(desk.cases.as_of())))

    @router.post("/cases/{order_id}/{dispute_id}/notes", response_model=NotesShown)
    async def note(asked: SignedIn, order_id: str, dispute_id: str, said: NewNote) -> Response:
        """One more. It is shown to no party, and never changes."""
        await _may_note(desk.cases, asked, order_id, dispute_id)
        kept = await answered(desk.own.note(order_id, dispute_id, asked.role, asked.id, said.text))
        if kept is None:
            raise Wrong(f"A case has at most {NOTES_MAX} notes.", "text")
        return answer(NotesShown(items=[_note(kept)], as_of=await answered(desk.cases.as_of())))

    return router


async def _may_note(cases: CaseTables, asked: Asked, order_id: str, dispute_id: str) -> None:
    """Operators on each case, a mediator on those he has or had; to others it is not told whether there is one."""
    if asked.role not in ("operator", "mediator"):
        raise NotAllowed(f"Notes are for operators and mediators; you are signed in as {asked.role}.")
    found = await answered(cases.find(order_id))
    named = f'"dispute_id":"{dispute_id}"'.encode()
    if found is None or not any(named in (record.value or b"") for record in found.records):
        raise Hidden
    if asked.role == "mediator" and (dispute_id, asked.id) not in owners(found).mediators:
        raise Hidden


def _note(one: Note) -> NoteShown:
    return NoteShown(**one._asdict())
