"""The same rooms, really: where each part of a decider lives; and its axes, closed."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, get_args

import pytest

from schemas.catalogue import CONTRACT
from schemas.timer.commands import Schedule
from schemas.wire import Command, Message, Rejected, Service
from services.composition import DECIDERS
from shared.kernel.codec import Decoder
from shared.kernel.decider import Deadline, Decider, stateless
from shared.runtime.partitions import home_among
from tests.domain.columns import columns_of
from tests.house.reading import ROOT

ROOM_OF = {"evolve": "states", "deadlines": "states", "stamp": "states"} | dict.fromkeys(
    ("decide", "react", "expire", "identify"), "domain"
)
TABLE = re.compile(r'^[A-Z_]+ = """\n(.*?)^"""', re.MULTILINE | re.DOTALL)


def misplaced(decider: Decider[Any, Any, Any]) -> Iterator[str]:
    """Parts that live in another room than in every other service, a sentence each."""
    for part, room in ROOM_OF.items():
        function = getattr(decider, part)
        function = function.func if isinstance(function, partial) else function
        home, owner = f"services.{decider.service}.{room}", function.__module__
        if owner not in (home, "shared.kernel.decider"):
            yield f"{part} of {decider.service} lives in {owner}: who has read one service looks for it in {home}"


def unheard(decider: Decider[Any, Any, Any], messages: Mapping[str, type[Message]]) -> Iterator[str]:
    """Commands for its inbox that it does not take, and what it takes that is no command of its inbox."""
    inbox = f"{decider.service}.commands"
    declared = {model for model in messages.values() if issubclass(model, Command) and model.topic == inbox}
    for model in sorted(declared - set(decider.inbox), key=lambda model: model.type):
        yield (
            f"{model.type} is for {inbox} and {decider.service} does not take it: "
            f"add {model.__name__} to Commands in services/{decider.service}/domain.py, and a row to its match"
        )
    for model in sorted(set(decider.inbox) - declared, key=lambda model: model.type):
        yield f"{decider.service} takes {model.type}, which is no command of {inbox}"


def test_all_services_are_composed() -> None:
    lacking = set(get_args(Service)) ^ DECIDERS.keys()
    assert not lacking, f"{lacking}: services/composition.py lists every service of schemas/wire.py"


@pytest.mark.parametrize("service", get_args(Service))
def test_every_part_of_a_decider_is_where_it_is_in_every_service(service: Service) -> None:
    assert not [*misplaced(DECIDERS[service])]


@pytest.mark.parametrize("service", get_args(Service))
def test_a_service_takes_every_command_that_is_declared_for_it_and_its_decoder_takes_the_same(service: Service) -> None:
    decider = DECIDERS[service]
    assert not [*unheard(decider, CONTRACT)]
    assert set(Decoder(decider, home_among(1)).commands.values()) == set(decider.inbox)


def untold(decider: Decider[Any, Any, Any], columns_of: Callable[[str], tuple[str, ...]]) -> Iterator[str]:
    """Commands whose every state nobody has thought through: they have no column in a table of decisions."""
    headings: set[str] = set()
    for path in (ROOT / "tests" / "domain").glob(f"test_{decider.service}*.py"):
        headings |= {word for table in TABLE.findall(path.read_text()) for word in table.split("\n", 1)[0].split()}
    for model in decider.commands:
        if not headings & set(columns_of(model.type)):
            yield (
                f"{model.type} has no column {' or '.join(columns_of(model.type))} in a table of "
                f"tests/domain/test_{decider.service}.py: add one and fill every cell"
            )


@pytest.mark.parametrize("service", ["order", "dispute", "mediation", "refund", "notification"])
def test_every_command_is_a_column_of_a_decision_table(service: Service) -> None:
    assert not [*untold(DECIDERS[service], columns_of)]


@pytest.mark.parametrize("service", get_args(Service))
def test_what_is_subscribed_to_is_said_in_subscriptions(service: Service) -> None:
    decider = DECIDERS[service]
    if not decider.subscriptions:
        return
    module = __import__(f"services.{service}.subscriptions", fromlist=["SUBSCRIPTIONS"])
    assert decider.subscriptions is module.SUBSCRIPTIONS
    foreign = {str(model.topic).partition(".")[0] for model in decider.subscriptions}
    assert service not in foreign, "a service hears its own events when it folds them"


class Sweep(Command):
    """A command nobody has a row for."""

    type = "order.sweep.v1"
    topic = "order.commands"
    by = frozenset({"operator"})


del Message.MODELS[Sweep.type]


def test_a_command_without_a_row_is_found() -> None:
    (sentence,) = unheard(DECIDERS["order"], {**CONTRACT, Sweep.type: Sweep})
    assert "order.sweep.v1" in sentence
    assert "add Sweep to Commands in services/order/domain.py" in sentence


def test_a_command_without_a_column_is_found() -> None:
    (sentence,) = untold(DECIDERS["order"], lambda type_: ("sail",) if type_ == "order.ship.v1" else columns_of(type_))
    assert "order.ship.v1 has no column sail in a table of tests/domain/test_order.py" in sentence


def _deadlines(state: None) -> list[Deadline[Any]]:
    return []


def _decider(**parts: Callable[..., Any] | tuple[str, ...]) -> Decider[Any, Any, Any]:
    about: dict[str, Any] = {"evolve": stateless, "rejected": Rejected, **parts}
    return Decider(service="order", **about)


def test_a_part_in_another_room_is_found() -> None:
    (sentence,) = misplaced(_decider(deadlines=_deadlines))
    assert "deadlines of order lives in tests.house.test_deciders" in sentence
    assert "services.order.states" in sentence


def test_a_deadline_that_is_not_listed_is_refused_when_the_decider_is_made() -> None:
    def yields(state: None) -> list[Deadline[Literal["spring"]]]:
        return []

    with pytest.raises(TypeError, match="can yield the deadline spring: name it in deadline_names"):
        _decider(deadlines=yields)
    _decider(deadlines=yields, deadline_names=("spring",))


def test_a_silent_command_is_refused_where_events_are_the_state() -> None:
    about: dict[str, Any] = {"service": "timer", "commands": (Schedule,)}
    with pytest.raises(TypeError, match=r"timer\.schedule\.v1 is obeyed in silence, and timer folds"):
        Decider(evolve=lambda state, event: state, **about)
    Decider(evolve=stateless, **about)


def test_every_refusal_that_several_services_give_is_said_in_one_place() -> None:
    """One text each: who greps for it finds one line."""
    texts: dict[str, list[str]] = {}
    for folder in ("shared", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for text in re.findall(r'Refusal\(\s*"[a-z_]+",\s*f?"([^"]+)"', path.read_text()):
                texts.setdefault(text, []).append(path.relative_to(ROOT).as_posix())
    twice = {text: places for text, places in texts.items() if len(places) > 1}
    assert not twice, f"{twice}: shared/rules/refusals.py says what several services say"


def test_whoever_remembers_commands_has_a_word_for_one_that_comes_again() -> None:
    silent = [one.service for one in DECIDERS.values() if one.commands and not one.is_stateless and not one.repeated]
    assert not silent, f"{silent}: give the decider `repeated=…`"
