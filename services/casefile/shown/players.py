"""Who may do what, as a viewer is shown it (N3)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.visibility import PARTIES, may_see
from schemas.wire import Actor, Command, Event
from services.casefile.foresight.acts import Act
from services.casefile.shown.looking import Look
from services.casefile.shown.reading import Asked
from services.casefile.shown.rows import case_row, order_row, order_waits_for
from services.casefile.shown.shapes import ActShown, CaseRow, OrderRow, Player
from services.casefile.shown.told import would_see
from services.casefile.shown.words import act_name, why

SHARED = "dispute_id"
"""What every act in a dispute names."""
AN_OPERATOR = "operator"
"""What anybody of them is called, where none of them asks."""


def players(look: Look, dispute_id: str | None = None) -> list[Player]:
    """Those whose acts he is shown: his own and, of a party, what the other one may do; to mediators and operators
    everybody's. Of one dispute: what has to do with no other."""
    return [_player(look, actor, dispute_id) for actor in _actors(look, dispute_id)]


def _actors(look: Look, dispute_id: str | None) -> Iterator[Actor]:
    for role in PARTIES:
        if (person := look.whose.person(role, None)) is not None:
            yield Actor(role=role, id=person)
    if look.asked.role in PARTIES:
        return
    rows = [row for row in look.cases.values() if dispute_id in (None, row.dispute_id)]
    for mediator in dict.fromkeys(row.mediator for row in rows if look.may_look_into(row.dispute_id)):
        if mediator is not None:
            yield Actor(role="mediator", id=mediator)
    yield Actor(role="operator", id=look.asked.id if look.asked.role == "operator" else AN_OPERATOR)


def _player(look: Look, actor: Actor, dispute_id: str | None) -> Player:
    acts = [*_each_once(act for act in look.acts.of(actor) if _belongs(look, act, dispute_id))]
    if look.asked.role in PARTIES and actor.role != look.asked.role:
        return Player(role=actor.role, id=actor.id, available_actions=[*_of_the_other_side(look, acts)])
    may = [act for act in acts if _may(act)]
    return Player(
        role=actor.role,
        id=actor.id,
        available_actions=[_shown(look, act) for act in may],
        never=[_shown(look, act) for act in acts if not _may(act)],
    )


def _belongs(look: Look, act: Act, dispute_id: str | None) -> bool:
    about = act.fixed.get(SHARED)
    return about is None or (dispute_id in (None, about) and look.may_look_into(about))


def _each_once(acts: Iterable[Act]) -> Iterator[Act]:
    """Of what differs in its author's choice alone the one that is possible, or will be first."""
    found: dict[tuple[Any, ...], Act] = {}
    for act in acts:
        key = (act.command.type, *sorted(act.fixed.items(), key=str))
        known = found.get(key)
        if known is None or _chance(act) < _chance(known):
            found[key] = act
    yield from found.values()


def _chance(act: Act) -> tuple[bool, bool, float]:
    return act.refusal is not None, act.from_ is None, act.from_.timestamp() if act.from_ else 0.0


def _may(act: Act) -> bool:
    return act.refusal is None or act.from_ is not None


def _of_the_other_side(look: Look, acts: list[Act]) -> Iterator[ActShown]:
    """What it may do, and when. Of what it could do unseen nothing is shown, nor of anything else about the same: that
    it may be done no more would tell that it was done."""
    may = [act for act in acts if _may(act)]
    unseen = [act for act in may if not would_see(_answer(look, act), look.asked)]
    about = {one for act in unseen for one in _subjects(act.fixed)}
    for act in may:
        if act not in unseen and not about & set(_subjects(act.fixed)):
            yield _possibility(act, look)


def _answer(look: Look, act: Act) -> Event:
    at = act.from_ or look.outlook.now
    event: Event = look.acts.at(at).answer(act.command, at)
    return event


def _subjects(fixed: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in fixed.items() if name != SHARED)


def _possibility(act: Act, look: Look) -> ActShown:
    type_ = act.command.type.rpartition(".")[0]
    return ActShown(
        type=type_,
        text=act_name(type_, look.locale),
        fixed=dict(act.fixed),
        possible=act.refusal is None,
        from_=act.from_,
        until=act.until,
    )


def _shown(look: Look, act: Act) -> ActShown:
    """His own, or anybody's for who may see all: with what follows, and why not."""
    shown = _possibility(act, look)
    if not _may(act):
        assert act.refusal is not None
        return shown.model_copy(update={"why": why(act.refusal, look.locale)})
    at, actor = act.from_ or look.outlook.now, act.command.actor
    said = [one.event for one in look.acts.at(at).say(act.command)]
    his = Asked(actor.role, actor.id)  # type: ignore[arg-type]
    then = dict.fromkeys(event.type.rpartition(".")[0] for event in said if may_see(event, his.role))
    update: dict[str, Any] = {"then": [*then], "mandatory": act.refusal is None and _hands_on(look, act.command, said)}
    if act.refusal is not None:
        update["why"] = why(act.refusal, look.locale)
    return shown.model_copy(update=update)


def _hands_on(look: Look, command: Command, said: Iterable[Event]) -> bool:
    """Whether it is his turn, a clock runs, and with this it would not be his any more."""
    role, dispute_id = command.actor.role, getattr(command, SHARED, None)
    before = look.cases.get(dispute_id) if dispute_id is not None else look.order
    if before is None or not before.deadlines or role not in _turn(before):
        return False
    after: Any = before
    for event in said:
        if dispute_id is None:
            after = order_row(after, event, look.at)
        elif getattr(event, SHARED, None) == dispute_id:
            after = case_row(after, event, look.at)
    return role not in _turn(after)


def _turn(row: CaseRow | OrderRow) -> list[str]:
    return row.waiting_for if isinstance(row, CaseRow) else order_waits_for(row)
