"""One look at one page: who looks, in which language and zone, and how the page is made of its template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from schemas.instants import rfc3339
from schemas.topics import SERVICES
from services.casefile.pages import drawing
from services.casefile.pages.forms import typed_of
from services.casefile.pages.phrasing import Phrasing, is_word, said
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import ActShown, EventShown, Option, Player
from services.casefile.shown.words import act_name, word

TEMPLATES = Path(__file__).with_name("templates")
TEXTS = ("message", "text", "question", "rationale", "explanation", "description", "statement", "note", "reason")
"""Fields of an event in which somebody wrote something; `reason` where it is no word of the contract."""
REFUSALS = tuple(f"{service}.rejected" for service in SERVICES)


@dataclass(frozen=True)
class Visit:
    """`asked`: None: nobody is signed in. `csrf`: what a form of his must send back."""

    asked: Asked | None
    words: Phrasing
    path: str
    csrf: str = ""
    json_address: str | None = None
    menu: tuple[str, ...] = ()
    """Addresses of pages that are one click away."""
    is_look: bool = True
    """Nothing is changed by it: it may begin anew."""

    def acts_as(self, player: Player) -> bool:
        return self.asked is not None and (player.role, player.id) == (self.asked.role, self.asked.id)

    def first(self, players: Sequence[Player]) -> list[Player]:
        """He himself, then the others."""
        return sorted(players, key=lambda one: not self.acts_as(one))

    def made(self, template: str, **what: Any) -> str:
        """The page, as HTML."""
        return environment().get_template(template).render(**_names(self), **what)


def environment() -> Environment:
    return _ENVIRONMENT


def _made_environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {
        "said": said,
        "drawing": drawing,
        "instant": rfc3339,
        "texts_of": texts_of,
        "files_of": files_of,
        "is_link": is_link,
        "refusal_types": REFUSALS,
    }
    return made


def _names(visit: Visit) -> dict[str, Any]:
    """What every template knows."""
    words = visit.words

    def told(key: str, **values: object) -> Markup:
        text = Markup(escape(words.word(key)))
        return text.format(**values) if values else text

    return {
        "visit": visit,
        "words": words,
        "t": told,
        "v": words.value,
        "money": words.money,
        "time": words.time,
        "due": words.due,
        "act_name": lambda type_: act_name(type_, words.language),
        "event_name": lambda type_: word(type_, words.language, "event"),
        "option_name": lambda name: word(name, words.language, "option"),
        "act_address": lambda order_id, act, currency, about=None: act_address(order_id, act, currency, words, about),
    }


def act_address(
    order_id: str,
    act: ActShown | Option,
    currency: str,
    words: Phrasing,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Of the form of an act: what it must say is fixed, what an option says can be changed."""
    fixed = {**(about or {}), **(act.fixed if isinstance(act, ActShown) else {})}
    chosen = {
        name: value for name, value in (act.data if isinstance(act, Option) else {}).items() if isinstance(value, int)
    }
    asked = {f"fixed:{name}": text for name, text in typed_of(fixed, currency, words).items()}
    return f"/orders/{order_id}/acts/{act.type}?{urlencode(asked | typed_of(chosen, currency, words))}"


def texts_of(event: EventShown) -> list[str]:
    found = [(name, event.data.get(name)) for name in TEXTS]
    return [text for name, text in found if isinstance(text, str) and not (name == "reason" and is_word(text))]


def files_of(event: EventShown) -> list[Mapping[str, Any]]:
    found = event.data.get("evidence") or ()
    return [{"note": None, **file} for file in found if isinstance(file, dict) and "uri" in file and "kind" in file]


def is_link(uri: str) -> bool:
    """Nothing else is followed, whatever somebody wrote."""
    return urlsplit(uri).scheme in ("http", "https")


_ENVIRONMENT = _made_environment()
