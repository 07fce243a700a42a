"""Who asks: a bearer token says so, or a cookie that holds one.

`RECOURSE_CASEFILE_ISSUER`, `_AUDIENCE` and `_JWKS` (an address or a file) name who signs tokens; their claims are
`role` and `sub`. With `RECOURSE_CASEFILE_SIGNIN=local` the process signs them itself, for anybody who asks: for trying,
never for production. Without either it does not start. `RECOURSE_CASEFILE_TLS=1`: it is reached by TLS alone, through a
proxy.
"""

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol, get_args
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, Request
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm
from starlette.datastructures import UploadFile
from starlette.responses import Response

from schemas.visibility import Viewer
from services.casefile.front.keys import ALGORITHMS, keys_at
from services.casefile.front.turned_away import NotAllowed, NotSignedIn, Wrong
from services.casefile.shown.reading import Asked

log = logging.getLogger(__name__)

ROLES: tuple[Viewer, ...] = get_args(Viewer)
LEEWAY_SECONDS = 30
TOKEN_CHARACTERS_MAX = 8_192
PERSON = re.compile(r"[\x20-\x7e]{1,128}")
"""As the contract has them (R75)."""
READING = ("GET", "HEAD", "OPTIONS")
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
OURS = "recourse-casefile"
"""Issuer and audience of the tokens that the process signs itself."""
OURS_LAST = timedelta(hours=12)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
NOT_FOR_PRODUCTION = (
    "Anybody who reaches this service can sign in as anybody: RECOURSE_CASEFILE_SIGNIN=local is for trying, never for "
    "production."
)


class KeysByName(Protocol):
    async def named(self, key_id: str | None) -> PyJWK | None: ...


@dataclass(frozen=True)
class Tokens:
    """Whose tokens are good, and what they say."""

    issuer: str
    audience: str
    keys: KeysByName

    async def asked(self, token: str) -> Asked:
        """Raises NotSignedIn, NotAllowed for a role that nobody has here, and Away."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise NotSignedIn(f"A token has at most {TOKEN_CHARACTERS_MAX} characters.")
        try:
            key = await self.keys.named(_key_id(token))
            if key is None:
                raise NotSignedIn("The token is signed with a key that nobody knows.")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn(f"The token is not good: {type(error).__name__}.") from None
        except (ValueError, TypeError, RecursionError):
            raise NotSignedIn("The token is none.") from None
        return person(claims.get("role"), claims.get("sub"))


def person(role: object, id_: object) -> Asked:
    """Raises NotAllowed: nobody here is called so."""
    for known in ROLES:
        if role == known and isinstance(id_, str) and PERSON.fullmatch(id_):
            return Asked(known, id_)
    raise NotAllowed(f"A token's `role` is one of {', '.join(ROLES)}, and its `sub` a person's id.")


class LocalKey:
    """Made when the process starts, known to nobody else: what it signed is void when it ends."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self._public = PyJWK(OKPAlgorithm.to_jwk(self._private.public_key(), as_dict=True))

    async def named(self, key_id: str | None) -> PyJWK | None:
        return self._public

    def token(self, asked: Asked, now: datetime | None = None) -> str:
        began = now or datetime.now(UTC)
        claims = {"role": asked.role, "sub": asked.id, "iss": OURS, "aud": OURS, "iat": began, "exp": began + OURS_LAST}
        return jwt.encode(claims, self._private, algorithm="EdDSA")


class SignIn:
    """`local`: the key by which it hands out tokens itself. `is_tls`: cookies go by TLS alone."""

    def __init__(self, tokens: Tokens, local: LocalKey | None = None, is_tls: bool = False) -> None:
        self.tokens, self.local, self.is_tls = tokens, local, is_tls
        self.cookie = "__Host-recourse" if is_tls else "recourse"
        if local is not None:
            log.warning(NOT_FOR_PRODUCTION)

    async def asked(self, request: Request) -> Asked:
        """Who asks. Of requests that change something and are known by their cookie, only what our own pages sent."""
        token, by_cookie = self._token(request)
        if token is None:
            raise NotSignedIn("Sign in: there is no token.")
        found = await self.tokens.asked(token)
        if by_cookie and request.method not in READING:
            same_origin(request)
            if not hmac.compare_digest((await _shown_csrf(request)).encode(), csrf_of(token).encode()):
                raise NotAllowed("This was not sent by a page of the case file: load it anew.", CSRF_FIELD)
        return found

    def csrf(self, request: Request) -> str:
        """What a form of this session must hold, in its field `csrf`. Empty: a bearer needs none."""
        token, by_cookie = self._token(request)
        return csrf_of(token) if token is not None and by_cookie else ""

    def keep(self, response: Response, token: str) -> None:
        """As a cookie, for as long as the browser is open."""
        response.set_cookie(self.cookie, token, path="/", secure=self.is_tls, httponly=True, samesite="strict")

    def forget(self, response: Response) -> None:
        response.delete_cookie(self.cookie, path="/", secure=self.is_tls, httponly=True, samesite="strict")

    def hand_out(self, role: object, id_: object) -> str:
        """A token for whoever asks. Raises Wrong, and NotAllowed where tokens come from elsewhere."""
        if self.local is None:
            raise NotAllowed("Tokens come from elsewhere.")
        try:
            return self.local.token(person(role, id_))
        except NotAllowed:
            raise Wrong(f"Sign in as one of {', '.join(ROLES)}, with a person's id.", "role") from None

    def _token(self, request: Request) -> tuple[str | None, bool]:
        """(token, whether it is the cookie's)."""
        said = request.headers.get("authorization")
        if said is None:
            return request.cookies.get(self.cookie), True
        scheme, _, token = said.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else "", False


def sign_in(signin: str | None, issuer: str | None, audience: str | None, jwks: str | None, is_tls: bool) -> SignIn:
    """As the settings of the same names say. Raises SystemExit, in a sentence."""
    from_elsewhere = (issuer, audience, jwks)
    if signin == "local" and not any(from_elsewhere):
        local = LocalKey()
        return SignIn(Tokens(OURS, OURS, local), local, is_tls)
    if signin is None and issuer and audience and jwks:
        return SignIn(Tokens(issuer, audience, keys_at(jwks)), None, is_tls)
    raise SystemExit(
        "Who may ask the case file? Set RECOURSE_CASEFILE_ISSUER, RECOURSE_CASEFILE_AUDIENCE and "
        "RECOURSE_CASEFILE_JWKS to whose tokens are good, or, for trying, RECOURSE_CASEFILE_SIGNIN=local alone."
    )


def same_origin(request: Request) -> None:
    """A browser says where a request comes from: here, or it is not obeyed. Raises NotAllowed."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = site in (None, "same-origin") and (
        origin is None or urlsplit(origin).netloc == request.headers.get("host")
    )
    if not is_ours or (site is None and origin is None):
        raise NotAllowed("This request comes from another site.")


def csrf_of(token: str) -> str:
    """Follows from the session's token, which only its browser and we know; nobody finds that by it."""
    return hashlib.blake2b(token.encode(), key=b"recourse csrf", digest_size=16).hexdigest()


async def signed_in(request: Request) -> Asked:
    """The dependency of every route but the sign-in's."""
    signin: SignIn = request.app.state.signin
    return await signin.asked(request)


SignedIn = Annotated[Asked, Depends(signed_in)]


async def _shown_csrf(request: Request) -> str:
    if (said := request.headers.get(CSRF_HEADER)) is not None:
        return said
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return ""
    field = (await request.form()).get(CSRF_FIELD, "")
    return "" if isinstance(field, UploadFile) else field


def _key_id(token: str) -> str | None:
    key_id = jwt.get_unverified_header(token).get("kid")
    return key_id if isinstance(key_id, str) else None
