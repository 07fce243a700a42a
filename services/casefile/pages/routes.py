"""Under which addresses the pages are, and what becomes of whoever is turned away from one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from schemas.visibility import Viewer
from services.casefile.front.desk import Desk
from services.casefile.front.signin import SignIn, same_origin
from services.casefile.front.turned_away import NotSignedIn, TurnedAway, Unavailable
from services.casefile.pages.acting import Acting
from services.casefile.pages.operating import Operating, OperatorsTables, Rules
from services.casefile.pages.phrasing import LANGUAGES, Phrasing, zone_of, zones
from services.casefile.pages.viewing import Viewing
from services.casefile.pages.visit import Visit
from services.casefile.shown.words import language_of

Handler = Callable[[Visit, Request], Awaitable[str | Response]]
STATIC = Path(__file__).with_name("static")
STATIC_TYPES = {
    "icon.svg": "image/svg+xml",
    "pages.css": "text/css",
    "keys.js": "text/javascript",
    "htmx.min.js": "text/javascript",
}
LANGUAGE_COOKIE, ZONE_COOKIE = "language", "zone"
YEAR_SECONDS = 365 * 86_400
SENTENCES = {404: "problem_hidden", 401: "problem_not_signed_in", 403: "problem_not_allowed", 503: "problem_behind"}
"""Status -> what the page is called that says so."""


class Pages:
    """All of them. `signin`: who looks. `tables`: what operators' pages are made of; without them there are none."""

    def __init__(self, desk: Desk, signin: SignIn, tables: OperatorsTables | None = None) -> None:
        self.signin = signin
        self.menus = _menus(has_tables=tables is not None)
        self.viewing, self.acting = Viewing(desk), Acting(desk)
        self.router = APIRouter(include_in_schema=False)
        self._add("/", self._front)
        self._add("/cases", self.viewing.cases, json="/v1/cases")
        self._add("/cases/{order_id}/{dispute_id}", self.viewing.case, json="/v1{path}")
        self._add("/cases/{order_id}/{dispute_id}/comes-to", self.viewing.comes_to)
        self._add("/orders", self.viewing.orders, json="/v1/orders")
        self._add("/orders/{order_id}", self.viewing.order, json="/v1{path}")
        self._add("/orders/{order_id}/commands/{command_id}", self.viewing.command, json="/v1{path}")
        self._add("/orders/{order_id}/acts/{type}", self.acting.form)
        self._add("/orders/{order_id}/acts/{type}", self._said, method="POST")
        rules = Rules(desk)
        self._add("/policies", rules.policies)
        self._add("/policies/what-if", rules.what_if)
        self._add("/policies/what-if", rules.what_if, method="POST")
        if tables is not None:
            operating = Operating(desk, tables)
            self._add("/stuck", operating.stuck, json="/v1/stuck")
            self._add("/stuck/plan", operating.plan)
            self._add("/stuck/plan", operating.plan, method="POST")
            self._add("/money", operating.money)
            self._add("/money/entries.csv", operating.entries_csv)
            self._add("/money/match", operating.match, method="POST")
        self._add("/settings", self._settings, is_for_all=True)
        self._add("/settings", self._set, method="POST", is_for_all=True)
        self._add("/sign-in", self._sign_in, is_for_all=True)
        self.router.add_api_route("/static/{name}", _static, methods=["GET"])

    def _add(
        self, path: str, handler: Handler, method: str = "GET", json: str | None = None, is_for_all: bool = False
    ) -> None:
        async def answer(request: Request) -> Response:
            return await self._answered(request, handler, json, is_for_all)

        self.router.add_api_route(path, answer, methods=[method], response_model=None)

    async def _answered(self, request: Request, handler: Handler, json: str | None, is_for_all: bool) -> Response:
        json_address = None if json is None else _with_query(json.format(path=request.url.path), request)
        if json_address is not None and _wants_json(request.headers.get("accept", "")):
            return RedirectResponse(json_address, 307)
        visit = self._visit(request, json_address)
        try:
            if not is_for_all or request.cookies.get(self.signin.cookie):
                visit = await self._known(visit, request, is_for_all)
            page = await handler(visit, request)
        except TurnedAway as away:
            return self._turned_away(visit, away)
        finally:
            await request.close()  # files that came with a form
        return page if isinstance(page, Response) else HTMLResponse(page)

    def _visit(self, request: Request, json_address: str | None) -> Visit:
        cookies = request.cookies
        language = language_of(cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
        words = Phrasing(language, zone_of(cookies.get(ZONE_COOKIE)))
        is_look = request.method == "GET"
        return Visit(None, words, _with_query(request.url.path, request), json_address=json_address, is_look=is_look)

    async def _known(self, visit: Visit, request: Request, is_for_all: bool) -> Visit:
        """Raises TurnedAway, but where nobody needs to be signed in."""
        try:
            asked = await self.signin.asked(request)
        except NotSignedIn:
            if is_for_all:
                return visit
            raise
        return replace(visit, asked=asked, menu=self.menus[asked.role], csrf=self.signin.csrf(request))

    def _turned_away(self, visit: Visit, away: TurnedAway) -> Response:
        if isinstance(away, NotSignedIn) and visit.is_look:
            return RedirectResponse(f"/sign-in?{urlencode({'next': visit.path})}", 303)
        sentence = SENTENCES.get(away.status, "problem_wrong")
        detail = None if away.status in (401, 404) else away.sentence
        headers = {"retry-after": str(away.retry_after_seconds)} if isinstance(away, Unavailable) else None
        return HTMLResponse(visit.made("problem.html", sentence=sentence, detail=detail), away.status, headers)

    async def _front(self, visit: Visit, request: Request) -> Response:
        return RedirectResponse("/cases", 303)

    async def _said(self, visit: Visit, request: Request) -> Response:
        return await self.acting.said(visit, request, await request.form())

    async def _sign_in(self, visit: Visit, request: Request) -> str:
        return visit.made(
            "sign_in.html", is_local=self.signin.local is not None, next=_local(request.query_params.get("next", "/"))
        )

    async def _settings(self, visit: Visit, request: Request) -> str:
        back = _local(request.query_params.get("back", "/"))
        return visit.made(
            "settings.html",
            back=back,
            languages=LANGUAGES.items(),
            zones=sorted(zones(), key=lambda one: (one != "UTC", one)),
        )

    async def _set(self, visit: Visit, request: Request) -> Response:
        """It changes nothing but how pages look, and only from our own page."""
        same_origin(request)
        sent = await request.form()
        answer = RedirectResponse(_local(str(sent.get("back", "/"))), 303)
        for cookie, value in ((LANGUAGE_COOKIE, sent.get("language")), (ZONE_COOKIE, sent.get("zone"))):
            if value in (LANGUAGES if cookie == LANGUAGE_COOKIE else zones()):
                answer.set_cookie(
                    cookie, str(value), YEAR_SECONDS, path="/", secure=self.signin.is_tls, httponly=True, samesite="lax"
                )
        return answer


def _menus(has_tables: bool) -> Mapping[Viewer, tuple[str, ...]]:
    """Role -> the pages that are one click away."""
    operators = ("/stuck", "/money") if has_tables else ()
    return {
        "operator": ("/cases", "/orders", *operators, "/policies"),
        "mediator": ("/cases", "/policies"),
        "buyer": ("/cases", "/orders"),
        "seller": ("/cases", "/orders"),
    }


async def _static(name: str) -> Response:
    if name not in STATIC_TYPES:
        return Response(status_code=404)
    return Response((STATIC / name).read_bytes(), media_type=STATIC_TYPES[name])


def _wants_json(accept: str) -> bool:
    return "application/json" in accept and "text/html" not in accept


def _with_query(path: str, request: Request) -> str:
    return f"{path}?{request.url.query}" if request.url.query else path


def _local(address: str) -> str:
    """Nobody is sent anywhere else by us."""
    parts = urlsplit(address)
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_ours and address.isprintable() else "/"
