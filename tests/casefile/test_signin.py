"""Whose tokens are believed, and whose are not."""

import asyncio
import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from services.casefile.front.http import application, document
from services.casefile.front.keys import FRESH_SECONDS, LOOK_AGAIN_SECONDS, Keys, keys_at
from services.casefile.front.signin import LEEWAY_SECONDS, SignIn, Tokens, sign_in
from services.casefile.front.turned_away import Away, NotAllowed, NotSignedIn
from services.casefile.shown.reading import Asked
from tests.casefile.conftest import Counter
from tests.support.asking import ask

ISSUER, AUDIENCE = "https://accounts.example.com", "casefile"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()
BEA = Asked("buyer", "bea")
SIGNERS: Mapping[str, Any] = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


def jwks(*left_out: str) -> bytes:
    written = [
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "RS256", "use": "sig"},
        {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ES256"},
        {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "EdDSA"},
        {"kty": "oct", "kid": "HS256", "k": "c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2gtZm9yLWl0"},
        {"kty": "made up", "kid": "strange"},
    ]
    return json.dumps({"keys": [one for one in written if one["kid"] not in left_out]}).encode()


@dataclass
class Source:
    """Where keys are read, how often they were, and what is there."""

    now: float = 1_000.0
    document: Callable[[], bytes] = jwks
    reads: int = 0
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys(self.read, lambda: self.now)

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        return self.document()


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bea", "role": "buyer", "exp": now + timedelta(minutes=5)} | changes
    return {name: value for name, value in said.items() if value is not None}


def token(algorithm: str = "EdDSA", key: Any = None, kid: str | None = None, **changes: Any) -> str:
    headers = {"kid": algorithm if kid is None else kid}
    return jwt.encode(claims(**changes), key or SIGNERS[algorithm], algorithm, headers if kid != "" else None)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(ISSUER, AUDIENCE, Source().keys)


@pytest.mark.parametrize("algorithm", SIGNERS)
@pytest.mark.parametrize("audience", [AUDIENCE, ["others", AUDIENCE]])
async def test_a_token_of_the_issuer_says_who_asks(tokens: Tokens, algorithm: str, audience: Any) -> None:
    assert await tokens.asked(token(algorithm, aud=audience)) == BEA


def public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_hand(header: Mapping[str, Any], secret: bytes = b"") -> str:
    """As no library would write it."""
    said = claims()
    said["exp"] = int(said["exp"].timestamp())
    parts = [urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, said)]
    signature = hmac.digest(secret, b".".join(parts), hashlib.sha256) if secret else b""
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


now = datetime.now(UTC)
NOT_GOOD = {
    "expired": lambda: token(exp=now - timedelta(seconds=LEEWAY_SECONDS + 5)),
    "not yet good": lambda: token(nbf=now + timedelta(hours=1)),
    "never expires": lambda: token(exp=None),
    "of another issuer": lambda: token(iss="https://evil.example.com"),
    "of no issuer": lambda: token(iss=None),
    "for another audience": lambda: token(aud="shop"),
    "for nobody": lambda: token(aud=None),
    "about nobody": lambda: token(sub=None),
    "by a stranger's key": lambda: token(key=STRANGER),
    "by a key that nobody knows": lambda: token(kid="other", key=STRANGER),
    "with no key's name where there are several": lambda: token(kid=""),
    "by none": lambda: by_hand({"alg": "none", "kid": "RS256"}),
    "by None": lambda: by_hand({"alg": "None", "kid": "RS256"}),
    "without an algorithm": lambda: by_hand({"kid": "RS256"}),
    "by the public key as a secret": lambda: by_hand({"alg": "HS256", "kid": "RS256"}, public(RSA)),
    "by a secret of the document": lambda: by_hand(
        {"alg": "HS256", "kid": "HS256"}, b"secret-that-is-long-enough-for-it"
    ),
    "by another algorithm than its key's": lambda: by_hand({"alg": "ES256", "kid": "RS256"}),
    "with a key of its own": lambda: jwt.encode(
        claims(), STRANGER, "EdDSA", {"jwk": OKPAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)}
    ),
    "with a key's name that is none": lambda: by_hand({"alg": "EdDSA", "kid": ["EdDSA"]}),
    "cut": lambda: token()[:-10],
    "garbage": lambda: "garbage",
    "dots": lambda: "...",
    "nothing": lambda: "",
    "not ASCII": lambda: "ü.ü.ü",
    "NUL": lambda: "\0.\0.\0",
    "deep": lambda: urlsafe_b64encode(b"[" * 3_000).decode() + ".e30.",
    "long": lambda: "a" * 10_000,
}


@pytest.mark.parametrize("made", NOT_GOOD.values(), ids=NOT_GOOD)
async def test_no_other_token_is_good_for_anything(tokens: Tokens, made: Callable[[], str]) -> None:
    with pytest.raises(NotSignedIn) as turned_away:
        await tokens.asked(made())
    assert "bea" not in turned_away.value.sentence


@pytest.mark.parametrize(
    "changes",
    [{"role": "platform"}, {"role": None}, {"role": ["operator"]}, {"sub": "ü"}, {"sub": "x" * 129}, {"sub": ""}],
)
async def test_a_token_of_somebody_who_has_no_business_here(tokens: Tokens, changes: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        await tokens.asked(token(**changes))


async def test_clocks_may_differ_a_little(tokens: Tokens) -> None:
    assert await tokens.asked(token(exp=datetime.now(UTC) - timedelta(seconds=LEEWAY_SECONDS - 20))) == BEA


async def test_keys_are_read_once_however_many_ask() -> None:
    source = Source()
    tokens = Tokens(ISSUER, AUDIENCE, source.keys)
    await asyncio.gather(*(tokens.asked(token(one)) for one in [*SIGNERS] * 10))
    assert source.reads == 1


async def test_who_names_keys_that_nobody_knows_has_them_looked_for_once_a_minute() -> None:
    source = Source()
    tokens = Tokens(ISSUER, AUDIENCE, source.keys)
    await tokens.asked(token())
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            await tokens.asked(token(kid="new", key=STRANGER))
    assert source.reads == 1
    source.now += LOOK_AGAIN_SECONDS
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            await tokens.asked(token(kid="new", key=STRANGER))
    assert source.reads == 2


async def test_a_new_key_is_found() -> None:
    source = Source(document=lambda: jwks("EdDSA"))
    tokens = Tokens(ISSUER, AUDIENCE, source.keys)
    await tokens.asked(token("RS256"))
    source.document = jwks
    source.now += LOOK_AGAIN_SECONDS
    assert await tokens.asked(token("EdDSA")) == BEA


async def test_a_key_that_was_withdrawn_is_good_for_nothing() -> None:
    source = Source()
    tokens = Tokens(ISSUER, AUDIENCE, source.keys)
    await tokens.asked(token("EdDSA"))
    source.document = lambda: jwks("EdDSA")
    source.now += FRESH_SECONDS
    with pytest.raises(NotSignedIn):
        await tokens.asked(token("EdDSA"))


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": 5}', b'{"keys": [5, null, {}]}', b"[" * 5_000, b"\xff"]
)
async def test_where_no_keys_are_nobody_is_signed_in_and_known_ones_are_kept(document: bytes) -> None:
    source = Source(document=lambda: document)
    tokens = Tokens(ISSUER, AUDIENCE, source.keys)
    with pytest.raises(Away):
        await tokens.asked(token())
    source.document = jwks
    source.now += LOOK_AGAIN_SECONDS
    assert await tokens.asked(token()) == BEA
    source.document = lambda: document
    source.now += FRESH_SECONDS
    assert await tokens.asked(token()) == BEA


async def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(jwks())
    assert await Tokens(ISSUER, AUDIENCE, keys_at(str(tmp_path / "keys.json"))).asked(token()) == BEA
    with pytest.raises(Away):
        await Tokens(ISSUER, AUDIENCE, keys_at(str(tmp_path / "none.json"))).asked(token())


@dataclass
class Shelf:
    """A web server that answers everything with one answer."""

    answer: bytes
    asked: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_keys_are_read_from_an_address_and_from_nowhere_that_it_leads_to() -> None:
    good = Shelf(http("200 OK", jwks()))
    async with await asyncio.start_server(good, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        assert await Tokens(ISSUER, AUDIENCE, keys_at(address)).asked(token()) == BEA
        for answer in (
            http("302 Found", b"", f"location: {address}"),
            http("500 Internal Server Error", jwks()),
            http("200 OK", b" " * 300_000 + jwks()),
            b"no http at all\r\n\r\n",
        ):
            shelf = Shelf(answer)
            async with await asyncio.start_server(shelf, "127.0.0.1", 0) as other:
                elsewhere = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/keys"
                with pytest.raises(Away):
                    await Tokens(ISSUER, AUDIENCE, keys_at(elsewhere)).asked(token())
                assert len(shelf.asked) == 1
        assert len(good.asked) == 1


def test_keys_that_anybody_on_the_way_could_change_are_not_believed() -> None:
    with pytest.raises(SystemExit, match="https"):
        keys_at("http://accounts.example.com/keys")


@pytest.mark.parametrize(
    "settings",
    [
        (None, None, None, None),
        (None, ISSUER, None, "keys.json"),
        (None, ISSUER, AUDIENCE, None),
        ("local", ISSUER, AUDIENCE, "keys.json"),
        ("open", None, None, None),
    ],
)
def test_it_does_not_start_where_nobody_said_who_may_ask(
    settings: tuple[str | None, str | None, str | None, str | None],
) -> None:
    with pytest.raises(SystemExit, match="RECOURSE_CASEFILE_SIGNIN=local"):
        sign_in(*settings, False)


def test_tokens_for_everybody_are_off_unless_somebody_says_local(caplog: pytest.LogCaptureFixture) -> None:
    assert sign_in(None, ISSUER, AUDIENCE, "keys.json", True).local is None
    assert not caplog.records
    assert sign_in("local", None, None, None, False).local is not None
    assert "never for production" in caplog.text


async def test_what_one_process_signed_is_void_in_another() -> None:
    one, other = [sign_in("local", None, None, None, False) for _ in range(2)]
    assert one.local is not None
    with pytest.raises(NotSignedIn):
        await other.tokens.asked(one.local.token(Asked("operator", "olga")))


async def test_who_has_no_good_token_is_told_nothing(looking: Counter) -> None:
    signin = SignIn(Tokens(ISSUER, AUDIENCE, Source().keys))
    app = application(looking.office.desk, signin)
    order = looking.drone.order_id
    for said in (
        None,
        "Bearer",
        "Bearer ",
        "Bearer x y",
        "Basic b2xnYTpvbGdh",
        f"Token {token()}",
        "Bearer " + token(key=STRANGER),
    ):
        got = await ask(app, "GET", f"/v1/orders/{order}", {} if said is None else {"authorization": said})
        assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer")
        assert order.encode() not in got.body
    good = token(role="operator", sub="olga")
    assert (await ask(app, "GET", f"/v1/orders/{order}", {"authorization": f"bearer {good}"})).status == 200


async def test_every_address_of_the_contract_needs_a_token(looking: Counter) -> None:
    for path, routes in document()["paths"].items():
        for method in routes:
            said = None if method == "get" else {"type": "x", "data": {}, "order_id": "x"}
            got = await ask(looking.app, method.upper(), path.replace("{", "").replace("}", ""), said=said)
            assert got.status == 401, path
