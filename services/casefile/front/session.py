"""Signing in and out of a browser; and, where the process signs tokens itself, by which programs get one."""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.casefile.front.signin import NOT_FOR_PRODUCTION, SignIn, same_origin

router = APIRouter(include_in_schema=False)
SEE_OTHER = 303


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """A form with `role` and `id`, or with a `token` of whoever issues them, and perhaps where to go `next`. As JSON a
    program is given a token where tokens are made here."""
    signin: SignIn = request.app.state.signin
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        same_origin(request)
    form: Any = await request.form()
    given = form.get("token")
    if isinstance(given, str) and given:
        token = given
        await signin.tokens.asked(token)
    else:
        token = signin.hand_out(form.get("role"), form.get("id"))
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"token": token, **({"warning": NOT_FOR_PRODUCTION} if signin.local else {})})
    response = RedirectResponse(_here(form.get("next")), SEE_OTHER)
    signin.keep(response, token)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    signin: SignIn = request.app.state.signin
    same_origin(request)
    response = RedirectResponse("/sign-in", SEE_OTHER)
    signin.forget(response)
    return response


def _here(wanted: object) -> str:
    """A path of ours, wherever a link would have led."""
    if not isinstance(wanted, str) or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(wanted)
    return wanted if not (parts.scheme or parts.netloc) and wanted.isprintable() else "/"
