"""schemas/openapi.json says what the case file's routes say."""

import json
from collections.abc import Iterator
from typing import Any

from schemas.publish import as_text
from services.casefile.front.answering import WHEN
from services.casefile.front.http import DOCUMENT, document
from services.casefile.routes import described

DOC: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))


def routes() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in DOC["paths"].items():
        yield from ((f"{method} {path}", route) for method, route in found.items())


def test_the_document_is_what_the_routes_say() -> None:
    assert DOCUMENT.read_text("utf-8") == as_text(document(described())), "run `make schemas`"


def test_every_route_says_what_it_is_for_and_how_it_refuses() -> None:
    for name, route in routes():
        assert route["description"], name
        refusals = {status: told for status, told in route["responses"].items() if int(status) in WHEN}
        assert {int(status) for status in refusals} == {*WHEN}, name
        assert all([*told["content"]] == ["application/problem+json"] for told in refusals.values()), name


def test_every_route_has_a_name_of_its_own() -> None:
    names = [route["operationId"] for _, route in routes()]
    assert len({*names}) == len(names)
    assert all("v1" not in name for name in names)


def test_whatever_is_answered_says_how_far_was_read() -> None:
    for name, route in routes():
        schema = route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert "as_of" in DOC["components"]["schemas"][schema]["required"], name
