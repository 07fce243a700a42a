"""The case file's pages without a browser: what each shows to whom, in which language, and nothing that is not his."""

from collections.abc import AsyncIterator
from itertools import product

import pytest

from deploy.stories.book import STORIES
from deploy.stories.claims import disputed
from deploy.stories.dialogue import DoesNotApply, Participant, PlayedOrder, Scene
from schemas.visibility import Viewer
from services.casefile.pages.visit import environment
from tests.support.asking import ask
from tests.support.casefile import open_office
from tests.support.looking import House, before_the_mediator, open_house

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)>\u202egnp.exe\x07 \u0627\u0644\u0633'


@pytest.fixture(scope="module")
async def told() -> tuple[House, list[PlayedOrder]]:
    """Everything that the stories tell of."""
    office = await open_office()
    scenes = []
    for number, story in STORIES.items():
        scenes.append(Scene(office.stage, f"told-{number}"))
        try:
            await story.play(scenes[-1])
        except DoesNotApply:
            continue
    return open_house(office), [case for scene in scenes for case in scene.cases]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    office = await open_office()
    yield open_house(office)
    office.desk.workers.close()


async def _seen(house: House, address: str, role: Viewer, id_: str, language: str = "en") -> str:
    answer = await house.visitor(role, id_, language).sees(address)
    assert answer.status == 200, (address, role, answer.body[:2_000])
    return answer.body.decode()


def _people(case: PlayedOrder) -> dict[Viewer, str]:
    people: dict[Viewer, str] = {"buyer": case.buyer.id, "seller": case.seller.id, "operator": "olga"}
    for event in case.seen:
        if event.type == "mediation.assigned":
            people["mediator"] = event.data["mediator"]["id"]
    return people


def _disputes(case: PlayedOrder) -> list[str]:
    return sorted({event.data["dispute_id"] for event in case.seen if event.type == "dispute.opened"})


@pytest.mark.timeout(600)
async def test_every_page_of_every_story_is_shown_to_everybody(told: tuple[House, list[PlayedOrder]]) -> None:
    """In one language each, in turn."""
    house, cases = told
    looks = 0
    for case in cases:
        addresses = [f"/orders/{case.order_id}", *(f"/cases/{case.order_id}/{one}" for one in _disputes(case))]
        for (role, id_), address in product(_people(case).items(), addresses):
            if role == "mediator" and len(_disputes(case)) > 1:
                continue  # he has one of them
            language = ("en", "de")[looks % 2]
            page = await _seen(house, address, role, id_, language)
            assert f'<html lang="{language}">' in page
            looks += 1
    assert looks > 100


async def test_a_case_is_shown_as_it_was_at_every_instant(told: tuple[House, list[PlayedOrder]]) -> None:
    house, cases = told
    case = next(one for one in cases if one.order_id == "told-5-1")
    began = next(index for index, event in enumerate(case.seen) if event.type == "dispute.opened")
    for event in case.seen[began:]:
        at = event.at.isoformat().replace("+00:00", "Z")
        page = await _seen(house, f"/cases/{case.order_id}/d1?at={at}", "operator", "olga")
        assert "The case as it was on" in page
        assert "/acts/" not in page, "nobody acts in the past"


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("role", ["buyer", "seller", "mediator", "operator"])
async def test_lists_are_shown_to_everybody(told: tuple[House, list[PlayedOrder]], role: Viewer, language: str) -> None:
    house, cases = told
    id_ = {"buyer": cases[0].buyer.id, "seller": cases[0].seller.id, "mediator": "mara", "operator": "olga"}[role]
    for address in ("/cases", "/orders", "/settings", "/sign-in"):
        await _seen(house, address, role, id_, language)
    assert "aria-current" in await _seen(house, "/cases", role, id_, language)


async def test_a_list_goes_on_where_its_page_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.casefile.pages.viewing.ROWS", 1)
    scene = Scene(house.office.stage, "long")
    for _ in range(2):
        await before_the_mediator(scene)
    first = await _seen(house, "/cases", "operator", "olga")
    _, _, rest = first.partition('rel="next" href="')
    following = await _seen(house, rest.partition('"')[0].replace("&amp;", "&"), "operator", "olga")

    rows = [
        [f"long-{number} " in page or f"/cases/long-{number}/" in page for number in (1, 2)]
        for page in (first, following)
    ]
    assert sorted(rows) == [[False, True], [True, False]]


async def test_what_somebody_wrote_is_text_and_stays_where_it_is(house: House) -> None:
    scene = Scene(house.office.stage, "written")
    case = await scene.disputable_order(lamp=10_00)
    await disputed(case, 10_00, description=HOSTILE)
    await case.buyer.says("dispute.send_message", dispute_id="d1", text=HOSTILE)
    for role, id_ in (("buyer", case.buyer.id), ("seller", case.seller.id), ("operator", "olga")):
        page = await _seen(house, f"/cases/{case.order_id}/d1", role, id_)  # type: ignore[arg-type]
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert "<img" not in page
        assert "\x07" not in page
        assert page.count("\u202e") == page.count('<bdi dir="auto">&lt;script&gt;') > 0


async def test_a_file_is_a_link_only_to_the_web(house: House) -> None:
    scene = Scene(house.office.stage, "linked")
    case = await scene.disputable_order(lamp=10_00)
    await disputed(
        case,
        10_00,
        evidence=[
            {
                "evidence_id": name,
                "kind": "photo",
                "uri": uri,
                "media_type": "image/jpeg",
                "size_bytes": 1,
                "sha256": "0" * 64,
            }
            for name, uri in (("good", "https://files.example.com/1"), ("bad", "javascript:alert(1)"))
        ],
    )
    page = await _seen(house, f"/cases/{case.order_id}/d1", "buyer", case.buyer.id)
    assert 'href="https://files.example.com/1"' in page
    assert 'href="javascript' not in page


@pytest.fixture
async def mediated(house: House) -> tuple[House, PlayedOrder, Participant]:
    case, mediator = await before_the_mediator(Scene(house.office.stage, "seen"))
    return house, case, mediator


async def test_an_order_of_others_is_the_same_as_none(mediated: tuple[House, PlayedOrder, Participant]) -> None:
    house, case, _ = mediated
    stranger = house.visitor("buyer", "somebody-else")
    pages = [await stranger.sees(f"/cases/{order_id}/d1") for order_id in (case.order_id, "no-such-order")]
    assert [page.status for page in pages] == [404, 404]
    theirs, none = (page.body.decode().replace(case.order_id, "no-such-order") for page in pages)
    assert theirs == none


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(house: House) -> None:
    sent = await ask(house.app, "GET", "/cases?preset=all", {"accept": "text/html"})
    assert (sent.status, sent.headers["location"]) == (303, "/sign-in?next=%2Fcases%3Fpreset%3Dall")
    page = await ask(house.app, "GET", sent.headers["location"])
    assert 'name="next" value="/cases?preset=all"' in page.body.decode()
    assert "Not for production" in page.body.decode()


@pytest.mark.parametrize("elsewhere", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "evil"])
async def test_nobody_is_sent_elsewhere(house: House, elsewhere: str) -> None:
    visitor = house.visitor("operator", "olga")
    form = await visitor.form("/settings")
    kept = await visitor.sends("/settings", {**form, "language": "de", "zone": "Europe/Berlin", "back": elsewhere})
    assert (kept.status, kept.headers["location"]) == (303, "/")


async def test_language_and_zone_are_as_chosen(mediated: tuple[House, PlayedOrder, Participant]) -> None:
    house, case, mediator = mediated
    visitor = house.visitor("mediator", mediator.id, "en")
    chosen = f"{visitor.headers['cookie']}; language=de; zone=Europe/Berlin"
    page = (await visitor.sees(f"/cases/{case.order_id}/d1", {"cookie": chosen})).body.decode()
    assert '<html lang="de">' in page
    assert "Alle Zeiten in Europe/Berlin" in page
    assert "250,00 EUR" in page
    assert " CET</time>" in page


async def test_whoever_wants_json_of_a_page_is_sent_to_it(mediated: tuple[House, PlayedOrder, Participant]) -> None:
    house, case, mediator = mediated
    visitor = house.visitor("mediator", mediator.id)
    address = f"/cases/{case.order_id}/d1?at=2026-03-09T08:00:00Z"
    sent = await visitor.sees(address, {"accept": "application/json"})
    assert (sent.status, sent.headers["location"]) == (307, f"/v1{address}")


async def test_an_operator_looks_through_the_eyes_of_others_and_nobody_else_does(
    mediated: tuple[House, PlayedOrder, Participant],
) -> None:
    house, case, mediator = mediated
    page = await _seen(house, f"/cases/{case.order_id}/d1?as=seller", "operator", "olga")
    assert "As the seller sees it" in page
    raised = await house.visitor("mediator", mediator.id).sees(f"/cases/{case.order_id}/d1?as=operator")
    assert raised.status == 403


@pytest.mark.parametrize("query", ["at=yesterday", "at=2999-01-01T00:00", "as=king", "at="])
async def test_a_question_that_cannot_be_read_is_answered_in_a_sentence(
    mediated: tuple[House, PlayedOrder, Participant], query: str
) -> None:
    house, case, _ = mediated
    answer = await house.visitor("operator", "olga").sees(f"/cases/{case.order_id}/d1?{query}")
    assert answer.status == 422
    assert "<h1>" in answer.body.decode()


@pytest.mark.parametrize("address", ["/cases?preset=king", "/cases?cursor=nonsense", "/orders?cursor=nonsense"])
async def test_a_list_that_nobody_made_is_answered_in_a_sentence(house: House, address: str) -> None:
    assert (await house.visitor("operator", "olga").sees(address)).status == 422


async def test_what_is_too_old_is_not_shown(mediated: tuple[House, PlayedOrder, Participant]) -> None:
    house, case, mediator = mediated
    house.office.tables.behind_seconds = 31.0
    answer = await house.visitor("mediator", mediator.id).sees(f"/cases/{case.order_id}/d1")
    assert answer.status == 503
    assert answer.headers["retry-after"]


async def test_every_page_is_guarded(house: House) -> None:
    page = await house.visitor("operator", "olga").sees("/cases")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert " style=" not in page.body.decode()
    assert "<style" not in page.body.decode()


@pytest.mark.parametrize("name", ["pages.css", "keys.js", "htmx.min.js", "icon.svg"])
async def test_what_a_page_loads_is_there(house: House, name: str) -> None:
    assert (await ask(house.app, "GET", f"/static/{name}")).status == 200


@pytest.mark.parametrize("name", ["README.md", "..%2fpages%2fwords.yaml", "nothing"])
async def test_nothing_else_is_served(house: House, name: str) -> None:
    assert (await ask(house.app, "GET", f"/static/{name}")).status == 404


def test_nothing_undefined_is_passed_over_and_everything_is_escaped() -> None:
    made = environment()
    assert made.undefined.__name__ == "StrictUndefined"
    assert made.autoescape is True
    sources = [made.loader.get_source(made, name)[0] for name in made.list_templates()] if made.loader else []
    assert len(sources) > 10
    assert not [source for source in sources if "safe" in source.replace("unsafe", "") or "autoescape" in source]
