"""The case file over HTTP: what holds for every answer, whoever gives it, and where its routes are joined."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.casefile.front import api, session
from services.casefile.front.answering import ALWAYS, PROBLEM, TLS_ALWAYS, WHEN, problem, turned_away
from services.casefile.front.bounds import Bounded
from services.casefile.front.desk import Desk
from services.casefile.front.signin import LOCAL_HOSTS, SignIn
from services.casefile.front.turned_away import TurnedAway

log = logging.getLogger(__name__)

DOCUMENT = Path(__file__).parents[3] / "schemas" / "openapi.json"
ABOUT = """What people see of orders and disputes, what they may do, and what would come of it.

Instants are RFC 3339, money is integer minor units of the order's currency. Whoever asks is known by a bearer token
with the claims `role` and `sub`; he sees what is his. Every answer says `as_of`, and so does its ETag.
"""


def application(desk: Desk, signin: SignIn, routers: Iterable[APIRouter] = ()) -> FastAPI:
    """Served with `bounds.SERVER`. `routers`: whatever else is asked here; each route says `SignedIn` of who may."""
    app = _joined([session.router, _contract, *routers])
    app.state.desk, app.state.signin = desk, signin
    app.add_exception_handler(TurnedAway, _turned_away)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(Bounded, refuse=lambda status, detail, headers: problem(status, detail, headers=headers))
    app.add_middleware(Guarded, hosts=LOCAL_HOSTS if signin.local else None, is_tls=signin.is_tls)
    return app


def document(routers: Iterable[APIRouter] = ()) -> dict[str, Any]:
    """The OpenAPI document of it all: what `schemas/openapi.json` holds."""
    described = _joined(routers).openapi()
    described["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    described["security"] = [{"bearer": []}]
    for path in described["paths"].values():
        for route in path.values():
            for status, told in route["responses"].items():
                if int(status) in WHEN:
                    told["content"] = {PROBLEM: told["content"].pop("application/json")}
    for unused in ("HTTPValidationError", "ValidationError"):
        described["components"]["schemas"].pop(unused, None)
    return described


def _joined(routers: Iterable[APIRouter]) -> FastAPI:
    app = FastAPI(
        title="Recourse: the case file",
        version="1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # it would say where by the host that a request names
    )
    for router in (api.router, *routers):
        app.include_router(router)
    return app


_contract = APIRouter(include_in_schema=False)


@_contract.get("/openapi.json")
async def contract() -> Response:
    """As it is published."""
    return Response(DOCUMENT.read_bytes(), media_type="application/openapi+json")


class Guarded:
    """What every answer tells browsers; and that nothing is answered under a name that is not ours, where anybody can
    sign in: a page of somebody else's could give his name our address. `hosts`: None: under any."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None, is_tls: bool) -> None:
        self.app, self.hosts = app, hosts
        self.always = {**ALWAYS, **(TLS_ALWAYS if is_tls else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.always.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self.app
        if scope["type"] == "http" and self.hosts is not None and _host(scope) not in self.hosts:
            app = problem(421, "It is not known under this name.")
        await app(scope, receive, guarded)


def _host(scope: Scope) -> str:
    """Without its port."""
    named = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    name, colon, port = named.rpartition(":")
    return name if colon and port.isdigit() else named


async def _turned_away(request: Request, why: Exception) -> Response:
    assert isinstance(why, TurnedAway)
    return turned_away(why)


async def _not_understood(request: Request, why: Exception) -> Response:
    """The first thing that is wrong, without repeating what was sent."""
    assert isinstance(why, RequestValidationError)
    first = why.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return problem(422, f"{first['msg'].removeprefix('Value error, ')}.", where or None, "Not understood")


async def _no_such_thing(request: Request, why: Exception) -> Response:
    assert isinstance(why, HTTPException)
    return problem(why.status_code, f"{why.detail}.", headers=why.headers)


async def _broken(request: Request, why: Exception) -> Response:
    """A bug: the log has it."""
    return problem(500, "Something is wrong here, and we are told of it.")
