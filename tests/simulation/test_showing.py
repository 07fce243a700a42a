"""What the case file shows of random histories, with their faults, to everybody who may look: nothing that is hidden,
and in time."""

import os
from collections.abc import Iterator
from statistics import quantiles
from time import process_time
from typing import Any

import pytest

from schemas.instants import MILLISECOND
from schemas.visibility import ADDRESS, PARTIES, may_see
from schemas.wire import Actor, Rejected, Reply
from services.casefile.foresight.acts import PENDING, refusal
from services.casefile.foresight.oracle import JUDGES
from services.casefile.shown.looking import Look
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import Shown
from services.casefile.shown.showing import show_case, show_command, show_order
from services.casefile.shown.told import ToldEvent, as_it_was, told
from services.casefile.shown.whose import owners
from shared.kernel.codec import header
from shared.kernel.decider import Refusal
from tests.simulation.foresight import calm
from tests.simulation.moments import Moment, moments
from tests.simulation.plan import RULES, draw

HISTORIES = int(os.environ.get("RECOURSE_TEST_SHOWING", "8"))
EVERY = 5
"""Of the moments of a history so many are passed over."""
READINGS, READINGS_P95_MAX = 5, 100
"""So often its records could be read in the time in which a case is shown: some 40 times, with room."""


def looked_at() -> Iterator[Moment]:
    """Half of them with faults."""
    for seed in range(HISTORIES):
        yield from moments(calm(seed) if seed % 2 else draw(seed))[:: EVERY if seed % 2 else EVERY + 2]


def shown(moment: Moment, asked: Asked) -> Iterator[Shown]:
    order = show_order(moment.found, RULES, asked, moment.now)
    if order is not None:
        yield order
        for row in order.disputes:
            case = show_case(moment.found, row.dispute_id, RULES, asked, moment.now)
            assert case is not None
            yield case
    for record in moment.found.commands[-3:]:
        command = show_command(moment.found, header(record.headers, "ce_id") or "", asked)
        if command is not None:
            yield command


def fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every field, at every depth."""
    match value:
        case dict():
            for inner, part in value.items():
                yield inner, part
                yield from fields(part, inner)
        case list():
            for part in value:
                yield name, part
                yield from fields(part, name)


def is_hidden(one: ToldEvent, asked: Asked) -> bool:
    """By the rule book (§10), told anew."""
    if asked.role == "operator":
        return False
    mine = one.event.actor is not None and one.event.actor.id == asked.id
    return not may_see(one.event, asked.role) or (isinstance(one.event, Reply) and not mine)


@pytest.mark.rule("C9")
@pytest.mark.rule("R74")
@pytest.mark.rule("R77")
@pytest.mark.timeout(120 + 60 * HISTORIES)
def test_nothing_hidden_is_in_any_field_of_any_answer() -> None:
    """No hidden event by its id, no other one's address, no clock of a reminder; and a stranger is shown nothing."""
    answers = hidden = 0
    for moment in looked_at():
        known = told(moment.found)
        whose = owners(moment.found)
        for asked in moment.everybody():
            secret = {one.id for one in known if is_hidden(one, asked)}
            hidden += len(secret)
            for one in shown(moment, asked):
                answers += 1
                for name, value in fields(one.model_dump(mode="json")):
                    assert not (isinstance(value, str) and value in secret), (asked, name, value)
                    if name in ADDRESS and value is not None and asked.role != "operator":
                        own = {"buyer": whose.buyer, "seller": whose.seller}.get(asked.role)
                        assert own is not None, (asked, name, value)
                        assert str(value).startswith(f"{asked.role}-"), (asked, name, value)
                    assert asked.role == "operator" or name != "name" or not str(value).endswith("reminder")
        for stranger in (Asked("buyer", "nobody"), Asked("seller", whose.buyer or ""), Asked("mediator", "nobody")):
            assert [*shown(moment, stranger)] == []
    assert answers > 20 * HISTORIES
    assert hidden > 20 * HISTORIES


@pytest.mark.timeout(120 + 60 * HISTORIES)
def test_the_other_sides_acts_tell_when_and_no_more() -> None:
    theirs = own = 0
    for moment in looked_at():
        for asked in moment.everybody():
            if asked.role not in PARTIES or (order := show_order(moment.found, RULES, asked, moment.now)) is None:
                continue
            assert [one.role for one in order.players] == [*PARTIES]
            for player in order.players:
                for act in player.available_actions:
                    assert act.possible or act.from_ is not None
                if player.role == asked.role:
                    own += len(player.never) + sum(bool(act.then) for act in player.available_actions)
                    assert all(act.why is not None and act.then == [] for act in player.never)
                    continue
                theirs += len(player.available_actions)
                assert player.never == []
                assert not any(act.then or act.why or act.mandatory for act in player.available_actions)
    assert theirs > 5 * HISTORIES
    assert own > 50 * HISTORIES


@pytest.mark.timeout(120 + 60 * HISTORIES)
def test_as_it_was_is_what_was_shown_then() -> None:
    """N8: of every instant of a history what was shown at that instant, by the records of the end."""
    compared = 0
    for seed in range(HISTORIES // 2):
        seen = moments(calm(seed))
        last = {one.found.order_id: one for one in seen}
        for moment in seen[:: EVERY + 1]:
            end = last[moment.found.order_id]
            at = moment.now - MILLISECOND  # what is said next may be said in this very one
            if as_it_was(end.found, at).records != moment.found.records:
                continue
            for asked in moment.everybody():
                then = show_order(moment.found, RULES, asked, at)
                now = show_order(end.found, RULES, asked, end.now, at=at)
                assert then is not None
                assert now is not None
                assert now.model_copy(update={"as_of": then.as_of}) == then, (seed, at, asked)
                compared += 1
    assert compared > 5 * HISTORIES


@pytest.mark.timeout(120 + 60 * HISTORIES)
def test_a_case_is_shown_in_the_time_of_a_hundred_readings() -> None:
    took = []
    for moment in looked_at():
        for asked in moment.everybody():
            began = process_time()
            for _ in range(READINGS):
                told(moment.found)
            reading = (process_time() - began) / READINGS
            order = show_order(moment.found, RULES, asked, moment.now)
            for row in order.disputes if order is not None else ():
                began = process_time()
                show_case(moment.found, row.dispute_id, RULES, asked, moment.now)
                took.append((process_time() - began) / reading)
    assert len(took) > 20
    assert quantiles(took, n=20)[-1] < READINGS_P95_MAX


@pytest.mark.timeout(120 + 60 * HISTORIES)
def test_what_a_decider_says_of_a_trial_its_service_would_say() -> None:
    """A trial asks the decider alone, which is sooner told: nothing else may come between."""
    tried = refused = 0
    for moment in looked_at():
        look = Look(moment.found, RULES, Asked("operator", "olga"), moment.now, None, "en")
        for actor in [Actor(role=one.role, id=one.id) for one in moment.everybody()]:
            for act in look.acts.of(actor):
                for at in {look.outlook.now, *(one for one in (act.from_, act.until) if one is not None)}:
                    outlook = look.acts.at(at)
                    event = outlook.answer(act.command, at)
                    no = isinstance(event, Rejected)
                    said = refusal(outlook, act.command, at)
                    tried, refused = tried + 1, refused + no
                    if event.type not in PENDING:
                        assert (said is not None) == no
                        assert said is None or said == Refusal(event.code, event.message, event.details)
    assert tried - refused > 30 * HISTORIES
    assert refused > 30 * HISTORIES


def test_every_judge_is_asked() -> None:
    """What of the order a service decides its acts are found in."""
    acts: set[str] = set()
    for moment in looked_at():
        order = show_order(moment.found, RULES, Asked("operator", "olga"), moment.now)
        for player in order.players if order is not None else ():
            acts |= {act.type for act in (*player.available_actions, *player.never)}
    assert {act.partition(".")[0] for act in acts} == set(JUDGES)
