"""The JSON of the case file: each address is one question at the desk."""

import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from schemas.instants import Instant
from schemas.visibility import Viewer
from services.casefile.front.answering import PROBLEMS, answer
from services.casefile.front.desk import WAIT_SECONDS_MAX, Desk
from services.casefile.front.sending import TRACE
from services.casefile.front.signin import SignedIn
from services.casefile.front.turned_away import Wrong
from services.casefile.shown.reading import CaseFilter, OrderFilter
from services.casefile.shown.shapes import (
    PAGE_MAX,
    CaseRow,
    CaseShown,
    CommandShown,
    OrderRow,
    OrderShown,
    Page,
    PreviewShown,
)
from services.casefile.shown.words import Locale, language_of
from services.casefile.tables import cursors

ROWS = 50
WAIT = re.compile(r"\bwait\s*=\s*(\d{1,6})\b")


def at_the_desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def language(accept_language: Annotated[str | None, Header()] = None) -> Locale:
    return language_of(None, accept_language or "")


def _as_written(said: Any) -> Any:
    """Nothing else that a date could be read from."""
    if isinstance(said, str) and not re.match(r"\d{4}-\d\d-\d\dT", said):
        raise ValueError("an instant is written as RFC 3339")
    return said


TheDesk = Annotated[Desk, Depends(at_the_desk)]
Language = Annotated[Locale, Depends(language)]
At = Annotated[Instant, BeforeValidator(_as_written)]
Word = r"^[\x20-\x7e]{1,128}$"
SeenAs = Annotated[Viewer | None, Query(alias="as", description="operators alone: through whose eyes")]
Who = Annotated[str | None, Query(pattern=Word, description="with `as`: whose list; else who is filtered by")]
Cursor = Annotated[
    str | None, Query(pattern=rf"^[\x21-\x7e]{{1,{cursors.CHARS_MAX}}}$", description="`next` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="rows")]
AsItWas = Annotated[At | None, Query(description="as it was then; else as it is")]

router = APIRouter(prefix="/v1", responses=PROBLEMS)


class Wish(BaseModel):
    """A command that is tried and not sent."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="of the command: `mediation.decide`; without a version the newest")
    data: dict[str, Any] = Field(description="of the command, without order_id and actor")


class SentCommand(Wish):
    """A command as it lies on the bus, but for who acts: that is who is signed in."""

    id: str | None = Field(
        default=None, min_length=1, max_length=255, description="the same id again is the same command (R81)"
    )
    order_id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")


@router.get("/cases", response_model=Page[CaseRow])
async def cases(
    desk: TheDesk,
    asked: SignedIn,
    seen_as: SeenAs = None,
    who: Who = None,
    mediator: Annotated[str | None, Query(pattern=Word, description="his id; `-`: the seat is empty")] = None,
    status: Annotated[str | None, Query(pattern=Word, description="as the services name it")] = None,
    waiting_for: Annotated[str | None, Query(pattern=Word)] = None,
    due_before: Annotated[At | None, Query()] = None,
    is_appeal: bool | None = None,
    claimed_from_minor: Annotated[int | None, Query(ge=0, le=10**12)] = None,
    open_only: bool = True,
    cursor: Cursor = None,
    limit: Limit = ROWS,
) -> Response:
    """The work list: his own cases, the next one due first."""
    wanted = CaseFilter(mediator, status, waiting_for, due_before, is_appeal, claimed_from_minor, open_only)
    return answer(await desk.cases(asked, wanted, cursor, limit, seen_as, who))


@router.get("/cases/{order_id}/{dispute_id}", response_model=CaseShown)
async def case(
    desk: TheDesk,
    asked: SignedIn,
    language: Language,
    order_id: str,
    dispute_id: str,
    seen_as: SeenAs = None,
    at: AsItWas = None,
) -> Response:
    """A dispute: where it stands, who may do what until when, and what becomes of it if nobody acts."""
    return answer(await desk.case(asked, order_id, dispute_id, at, seen_as, language))


@router.post("/cases/{order_id}/{dispute_id}/preview", response_model=PreviewShown)
async def preview_of_case(
    desk: TheDesk,
    asked: SignedIn,
    language: Language,
    order_id: str,
    dispute_id: str,
    wish: Wish,
    seen_as: SeenAs = None,
) -> Response:
    """What a command would come to; nothing is sent."""
    return answer(await desk.preview(asked, order_id, wish.type, wish.data, dispute_id, seen_as, language))


@router.get("/orders", response_model=Page[OrderRow])
async def orders(
    desk: TheDesk,
    asked: SignedIn,
    seen_as: SeenAs = None,
    who: Who = None,
    buyer: Annotated[str | None, Query(pattern=Word)] = None,
    seller: Annotated[str | None, Query(pattern=Word)] = None,
    status: Annotated[str | None, Query(pattern=Word)] = None,
    cursor: Cursor = None,
    limit: Limit = ROWS,
) -> Response:
    """His own orders, the newest first."""
    return answer(await desk.orders(asked, OrderFilter(buyer, seller, status), cursor, limit, seen_as, who))


@router.get("/orders/{order_id}", response_model=OrderShown)
async def order(
    desk: TheDesk, asked: SignedIn, language: Language, order_id: str, seen_as: SeenAs = None, at: AsItWas = None
) -> Response:
    """An order with its disputes and its money."""
    return answer(await desk.order(asked, order_id, at, seen_as, language))


@router.post("/orders/{order_id}/preview", response_model=PreviewShown)
async def preview_of_order(
    desk: TheDesk, asked: SignedIn, language: Language, order_id: str, wish: Wish, seen_as: SeenAs = None
) -> Response:
    """What a command would come to; nothing is sent."""
    return answer(await desk.preview(asked, order_id, wish.type, wish.data, None, seen_as, language))


@router.get("/orders/{order_id}/commands/{command_id:path}", response_model=CommandShown)
async def command(desk: TheDesk, asked: SignedIn, language: Language, order_id: str, command_id: str) -> Response:
    """What became of a command, by its `ce_id`."""
    return answer(await desk.command(asked, order_id, command_id, language))


@router.post(
    "/commands",
    response_model=CommandShown,
    responses={202: {"model": CommandShown, "description": "it is on the bus; no final answer yet"}},
)
async def send(
    request: Request,
    desk: TheDesk,
    asked: SignedIn,
    language: Language,
    wish: SentCommand,
    prefer: Annotated[str | None, Header(description="`wait=5`: so many seconds for the answer, at most 30")] = None,
    idempotency_key: Annotated[str | None, Header(description="the command's id, unless its body has it")] = None,
) -> Response:
    """Hands a command to the bus: 202 with its id, or with `Prefer: wait=5` its answer if that is there by then."""
    if None not in (wish.id, idempotency_key) and wish.id != idempotency_key:
        raise Wrong("Header and body give it two ids.", "id")
    waits = WAIT.search(prefer or "")
    wait_seconds = min(float(waits[1]), WAIT_SECONDS_MAX) if waits else 0.0
    trace = {name: value for name in TRACE if (value := request.headers.get(name)) is not None}
    id_ = wish.id or idempotency_key
    shown = await desk.send(asked, wish.order_id, wish.type, wish.data, id_, wait_seconds, language, trace)
    applied = {"preference-applied": f"wait={wait_seconds:.0f}"} if waits else {}
    where = {"location": f"/v1/orders/{shown.order_id}/commands/{quote(shown.command_id)}"}
    return answer(shown, 200 if shown.is_final else 202, applied | where)
