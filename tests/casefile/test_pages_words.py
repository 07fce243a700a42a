"""Whatever a page says stands in the table of its words, in every language."""

import re
from typing import Any, get_args, get_origin

import pytest

from schemas.catalogue import CONTRACT
from schemas.refund.shapes import ReviewReason, Stage
from schemas.wire import Event
from services.casefile.foresight.oracle import JUDGES
from services.casefile.operating.planning import What
from services.casefile.pages.phrasing import words
from services.casefile.pages.viewing import PRESETS
from services.casefile.pages.visit import TEMPLATES
from services.casefile.shown.words import vocabulary
from tests.house.reading import ROOT

PLACE = re.compile(r"\{(\w+)\}")
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
TAG = re.compile(r"<[^>]*>", re.DOTALL)
SPOKEN = re.compile(r'\b(?:aria-label|title|placeholder|alt)="([^"]*)"')
ENTITY = re.compile(r"&\w+;")
SOURCES = [*TEMPLATES.glob("*.html"), *(ROOT / "services" / "casefile" / "pages").glob("*.py")]
MADE = {f"preset_{name}" for names in PRESETS.values() for name in names}
MADE |= {f"menu_{name}" for name in ("cases", "orders", "stuck", "money", "policies")}
MADE |= {f"answer_{name}" for name in ("pending", "answered", "refused", "dead_letter", "parked")}
MADE |= {f"span_{name}" for name in ("days", "hours", "minutes", "seconds")}
MADE |= {f"plan_{name}" for name in get_args(What)}
MADE |= {f"wrong_{name}" for name in ("money", "number", "instant", "choice")}
"""Keys that are put together."""


def _keys() -> set[str]:
    """All that is asked for: a key stands as a text of its own."""
    texts = "".join(path.read_text("utf-8") for path in SOURCES)
    return {key for key in words() if re.search(rf"""["']{re.escape(key)}["']""", texts)}


def _asked() -> set[str]:
    texts = "".join(path.read_text("utf-8") for path in SOURCES)
    return set(re.findall(r"""\b(?:t|word|fact)\(["']([\w.]+)["']\s*[,)]""", texts))


def test_every_key_is_there_in_every_language_with_the_same_places() -> None:
    for key, (english, german) in words().items():
        assert english, key
        assert german, key
        assert set(PLACE.findall(english)) == set(PLACE.findall(german)), key


def test_whatever_is_asked_for_is_there_and_nothing_else() -> None:
    assert _asked() - set(words()) == set()
    spoken = {key for key in words() if not key.startswith(("field.", "value."))}
    assert spoken - _keys() - MADE == set()
    assert MADE - spoken == set()


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_says_anything_by_itself(path: Any) -> None:
    html = JINJA.sub("", path.read_text("utf-8"))
    shown = ENTITY.sub("", TAG.sub("", html))
    assert not re.search(r"[^\W\d_]", shown), shown
    assert not [text for text in SPOKEN.findall(html) if re.search(r"[^\W\d_]", text)]


def _literals(annotation: Any) -> set[str]:
    if get_origin(annotation) is not None and annotation.__class__.__name__ == "_LiteralGenericAlias":
        return {str(one) for one in get_args(annotation)}
    return {literal for part in get_args(annotation) for literal in _literals(part)}


def test_every_status_reason_and_clock_has_words() -> None:
    said = set(get_args(Stage)) | set(get_args(ReviewReason))
    for model in CONTRACT.values():
        if issubclass(model, Event):
            for name in ("status", "reason", "leg"):
                if name in model.model_fields:
                    said |= _literals(model.model_fields[name].annotation)
    assert len(said) > 50
    assert not {one for one in said if f"value.{one}" not in words()}
    clocks = {name for judge in JUDGES.values() for name in judge.deadline_names}
    assert not {one for one in clocks if ("clock", one) not in vocabulary("de") and f"value.{one}" not in words()}
