"""How an answer looks on its way out: JSON with its `as_of`, or a problem (RFC 9457); and what all of them have."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Protocol

from pydantic_core import to_json
from starlette.responses import Response

from services.casefile.front.turned_away import NotSignedIn, TurnedAway, Unavailable
from services.casefile.shown.shapes import AsOf, ProblemDetails

PROBLEM = "application/problem+json"
ALWAYS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer` a browser hides where a form comes from, even from us
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Unless an answer says otherwise itself: every text in it is somebody's, and nobody keeps or frames it."""
TLS_ALWAYS: Mapping[str, str] = {"strict-transport-security": "max-age=31536000"}


class Dated(Protocol):
    """What says how far the case file had read."""

    @property
    def as_of(self) -> AsOf: ...

    def model_dump_json(self, *, by_alias: bool) -> str: ...


def answer(shown: Dated, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """As JSON. Its ETag names what had been read: two answers of one ETag are of the same records, though a clock may
    have run out between them, so nothing is answered by it with 304."""
    etag = {"etag": version(shown.as_of)}
    return Response(shown.model_dump_json(by_alias=True), status, {**etag, **(headers or {})}, "application/json")


def version(as_of: AsOf) -> str:
    digest = blake2b(to_json(sorted(as_of.records.items())), digest_size=12).digest()
    return f'W/"{urlsafe_b64encode(digest).decode()}"'


def problem(
    status: int,
    detail: str,
    field: str | None = None,
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    told = ProblemDetails(title=title or HTTPStatus(status).phrase, status=status, detail=detail, field=field)
    return Response(told.model_dump_json(exclude_none=True), status, {**ALWAYS, **(headers or {})}, PROBLEM)


def turned_away(why: TurnedAway) -> Response:
    headers: dict[str, str] = {}
    match why:
        case Unavailable():
            headers["retry-after"] = str(why.retry_after_seconds)
        case NotSignedIn():
            headers["www-authenticate"] = "Bearer"
    return problem(why.status, why.sentence, why.field, why.title, headers)


WHEN: Mapping[int, str] = {
    400: "what was sent is no JSON, or no request",
    401: "no token, or none that is good",
    403: "his role may not do this",
    404: "there is no such thing, or it is not his",
    408: "its body did not come in time",
    413: "its body is too long",
    422: "what is asked cannot be read; `field` says where",
    503: "later: `Retry-After` says when",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails, "description": when} for status, when in WHEN.items()
}
"""What any route may answer besides."""
