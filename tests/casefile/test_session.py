"""In a browser: a cookie says who asks, and what changes something is sent by our own pages alone."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Form

from services.casefile.front.http import application
from services.casefile.front.signin import CSRF_FIELD, CSRF_HEADER, SignedIn, SignIn, Tokens, csrf_of, sign_in
from tests.casefile.conftest import Counter
from tests.support.asking import HOST, Answer, ask

HERE = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
router = APIRouter()


@router.post("/say")
async def say(asked: SignedIn, text: str = Form("")) -> dict[str, str]:
    """A form of a page."""
    return {"who": asked.id, "text": text}


@pytest.fixture
def app(looking: Counter) -> FastAPI:
    return application(looking.office.desk, looking.signin, [router])


async def signed_in(app: FastAPI, **form: str) -> Answer:
    return await ask(app, "POST", "/sign-in", HERE, form={"role": "operator", "id": "olga", **form})


async def session(app: FastAPI) -> tuple[dict[str, str], str]:
    """(cookie, token)"""
    cookie = (await signed_in(app)).headers["set-cookie"].partition(";")[0]
    return {"cookie": cookie}, cookie.partition("=")[2]


async def test_whoever_signs_in_is_known_by_a_cookie_that_no_script_reads_and_no_other_site_sends(app: FastAPI) -> None:
    got = await signed_in(app, next="/orders/o-1")
    assert (got.status, got.headers["location"]) == (303, "/orders/o-1")
    name, *attributes = got.headers["set-cookie"].split("; ")
    assert name.startswith("recourse=")
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=strict"}
    cookie, _ = await session(app)
    assert (await ask(app, "GET", "/v1/orders", cookie)).status == 200


async def test_where_tls_is_the_cookie_is_bound_to_it_and_to_this_host(looking: Counter) -> None:
    app = application(looking.office.desk, sign_in("local", None, None, None, True))
    got = await signed_in(app)
    name, *attributes = got.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-recourse=")
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=strict", "secure"}
    assert got.headers["strict-transport-security"]
    plain = {"cookie": name.removeprefix("__Host-")}
    assert (await ask(app, "GET", "/v1/orders", plain)).status == 401


async def test_a_program_is_given_its_token_and_told_what_that_means(app: FastAPI) -> None:
    form = {"role": "mediator", "id": "mara"}
    got = await ask(app, "POST", "/sign-in", {"accept": "application/json"}, form=form)
    assert "never for production" in got.json["warning"]
    assert (await ask(app, "GET", "/v1/cases", {"authorization": f"Bearer {got.json['token']}"})).status == 200


@pytest.mark.parametrize("form", [{"role": "platform"}, {"role": ""}, {"id": ""}, {"id": "ü"}, {"id": "x" * 200}])
async def test_nobody_signs_in_as_what_there_is_not(app: FastAPI, form: dict[str, str]) -> None:
    assert (await signed_in(app, **form)).status == 422


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "javascript:x", "orders", "/a\nb"],
)
async def test_after_signing_in_nobody_is_led_elsewhere(app: FastAPI, wanted: str) -> None:
    assert (await signed_in(app, next=wanted)).headers["location"] == "/"


ELSEWHERE = [
    {"origin": "https://evil.example.com"},
    {"origin": "null"},
    {"origin": "http://localhost:9090"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": f"http://{HOST}"},
    {"sec-fetch-site": "none", "origin": f"http://{HOST}"},
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=str)
async def test_no_other_site_signs_anybody_in(app: FastAPI, elsewhere: dict[str, str]) -> None:
    got = await ask(app, "POST", "/sign-in", elsewhere, form={"role": "operator", "id": "olga"})
    assert got.status == 403
    assert "set-cookie" not in got.headers


async def test_where_tokens_come_from_elsewhere_none_is_handed_out_and_a_good_one_is_kept(looking: Counter) -> None:
    assert looking.signin.local is not None
    app = application(looking.office.desk, SignIn(looking.signin.tokens))
    assert (await signed_in(app)).status == 403
    assert (await ask(app, "POST", "/sign-in", HERE, form={"token": "x.y.z"})).status == 401
    kept = await ask(
        app, "POST", "/sign-in", HERE, form={"token": looking.signin.local.token(looking.drone.who("buyer"))}
    )
    cookie = {"cookie": kept.headers["set-cookie"].partition(";")[0]}
    assert (await ask(app, "GET", f"/v1/orders/{looking.drone.order_id}", cookie)).status == 200


async def test_a_form_of_ours_is_obeyed(app: FastAPI) -> None:
    cookie, token = await session(app)
    got = await ask(app, "POST", "/say", cookie | HERE, form={CSRF_FIELD: csrf_of(token), "text": "hello"})
    assert got.json == {"who": "olga", "text": "hello"}
    by_header = await ask(app, "POST", "/say", cookie | HERE | {CSRF_HEADER: csrf_of(token)}, form={"text": "hello"})
    assert by_header.json == {"who": "olga", "text": "hello"}
    either = await ask(app, "POST", "/say", cookie | {"origin": f"http://{HOST}"}, form={CSRF_FIELD: csrf_of(token)})
    assert either.status == 200


@pytest.mark.parametrize("elsewhere", [*ELSEWHERE, {}], ids=str)
async def test_what_another_site_sends_is_not_obeyed_whatever_it_knows(app: FastAPI, elsewhere: dict[str, str]) -> None:
    cookie, token = await session(app)
    got = await ask(app, "POST", "/say", cookie | elsewhere, form={CSRF_FIELD: csrf_of(token)})
    assert got.status == 403


@pytest.mark.parametrize("shown", [None, "", "wrong", "ü"])
async def test_what_does_not_know_the_session_is_not_obeyed_wherever_it_comes_from(
    app: FastAPI, shown: str | None
) -> None:
    cookie, _ = await session(app)
    form = {"text": "hello"} if shown is None else {"text": "hello", CSRF_FIELD: shown}
    got = await ask(app, "POST", "/say", cookie | HERE, form=form)
    assert (got.status, got.json["field"]) == (403, CSRF_FIELD)


async def test_one_sessions_word_is_none_in_another(app: FastAPI, looking: Counter) -> None:
    cookie, _ = await session(app)
    assert looking.signin.local is not None
    other = csrf_of(looking.signin.local.token(looking.drone.who("buyer")))
    assert (await ask(app, "POST", "/say", cookie | HERE, form={CSRF_FIELD: other})).status == 403


async def test_commands_by_cookie_are_forms_of_ours_too(app: FastAPI, looking: Counter) -> None:
    cookie, token = await session(app)
    said: Any = {"type": "mediation.ask", "order_id": looking.drone.order_id, "data": {}}
    assert (await ask(app, "POST", "/v1/commands", cookie | HERE, said=said)).status == 403
    with_word = await ask(app, "POST", "/v1/commands", cookie | HERE | {CSRF_HEADER: csrf_of(token)}, said=said)
    assert with_word.json["field"] == "type"  # an operator asks nobody anything: it came as far as that


async def test_a_bearer_needs_no_word_of_a_session(app: FastAPI, looking: Counter) -> None:
    bearer = looking.bearer(looking.drone.who("operator"))
    assert (await ask(app, "POST", "/say", bearer, form={"text": "hello"})).status == 200


async def test_whoever_signs_out_leaves_no_cookie(app: FastAPI) -> None:
    cookie, _ = await session(app)
    got = await ask(app, "POST", "/sign-out", cookie | HERE)
    assert (got.status, got.headers["location"]) == (303, "/sign-in")
    assert "max-age=0" in got.headers["set-cookie"].lower()
    assert (await ask(app, "POST", "/sign-out", cookie)).status == 403


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:8080", "localhost.evil.example.com", "", "[::2]:80"]
)
async def test_where_anybody_can_sign_in_it_answers_under_names_of_this_machine_alone(app: FastAPI, host: str) -> None:
    """A page of somebody else's could give his own name our address, and would be of the same origin."""
    got = await ask(
        app, "POST", "/sign-in", {"host": host, "origin": f"http://{host}"}, form={"role": "operator", "id": "o"}
    )
    assert got.status == 421
    assert got.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:80", "[::1]:80"])
async def test_this_machines_own_names_are_known(app: FastAPI, host: str) -> None:
    assert (await ask(app, "GET", "/v1/cases", {"host": host})).status == 401


async def test_elsewhere_it_answers_under_any_name(looking: Counter) -> None:
    app = application(looking.office.desk, SignIn(Tokens("issuer", "audience", looking.signin.tokens.keys)))
    assert (await ask(app, "GET", "/v1/cases", {"host": "casefile.example.com"})).status == 401


@pytest.mark.parametrize("address", ["/v1/cases", "/nowhere", "/openapi.json", "/v1/orders/x"])
async def test_every_answer_tells_browsers_to_frame_sniff_and_keep_nothing(app: FastAPI, address: str) -> None:
    got = await ask(app, "GET", address)
    policy = got.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert got.headers["x-frame-options"] == "DENY"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "same-origin"
    assert got.headers["cache-control"] == "no-store"
    assert not {name for name in got.headers if name.startswith("access-control")}
