"""What is published of commands besides their shapes is what the deciders do: every command was tried in every state."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pytest

from deploy.publish import rows
from schemas.acts import ACTS
from services.composition import DECIDERS
from tests.domain.trials import UNTOLD, Trial, trials

Row = Mapping[str, Any]

ROWS: Mapping[str, Row] = {row["type"]: row for row in json.loads(ACTS.read_text("utf-8"))["acts"]}


def wrong(rows: Mapping[str, Row]) -> list[str]:
    """What trials contradict, or what none of them shows, a sentence each."""
    tried: dict[str, list[Trial]] = {}
    for trial in trials():
        tried.setdefault(trial.type, []).append(trial)
    unknown = [f"{type_} has no row" for type_ in tried.keys() - rows.keys()]
    return unknown + [f"{type_}: {what}" for type_, row in rows.items() for what in _wrong(row, tried.get(type_, []))]


def _wrong(row: Row, tried: list[Trial]) -> Iterator[str]:
    obeyed, refused = [one for one in tried if one.code is None], [one for one in tried if one.code is not None]
    states = {UNTOLD} if row["states"] is None else set(row["states"])
    yield from _differ("in the state", states, {one.status for one in obeyed})
    yield from _differ("given by", set(row["roles"]), {one.role for one in obeyed})
    yield from _answers(row, obeyed)
    yield from (f"refused by {one.said}" for one in refused if one.said != (row["rejected"],))
    again = () if row["repeated"] is None else (row["repeated"],)
    yield from (f"repeated, it is told {one.again}" for one in tried if one.again != again)
    yield from _clock(row["clock"], [one for one in refused if one.code == "too_late"])


def _answers(row: Row, obeyed: list[Trial]) -> Iterator[str]:
    pending, final = set(row["pending"]), set(row["final"])
    seen: set[str] = set()
    for one in obeyed:
        said = set(one.said)
        if not pending | final:  # obeyed in silence
            yield from (f"answered by {word}" for word in sorted(said))
        elif bool(said & pending) == bool(said & final):
            yield f"answered by {one.said}, of which not one kind is told"
        if one.later and not set(one.later) <= final:
            yield f"answered later by {one.later}"
        if one.later and not said & pending:
            yield f"answered by {one.said}, which are not pending, and later by {one.later}"
        seen |= said | set(one.later)
    yield from (f"never answered by {type_}" for type_ in sorted((pending | final) - seen))
    followed = {type_ for one in obeyed if one.later for type_ in one.said}
    yield from (f"nothing follows on {type_}, which is pending" for type_ in sorted(pending - followed))


def _clock(clock: str | None, late: list[Trial]) -> Iterator[str]:
    if clock is None:
        yield from (f"too late behind {one.lost}" for one in late)
        return
    yield from (f"too late behind {one.lost}, not {clock}" for one in late if one.lost and clock not in one.lost)
    if not any(clock in one.lost for one in late):
        yield f"never too late behind {clock}"


def _differ(what: str, told: Collection[str | None], seen: Collection[str | None]) -> Iterator[str]:
    yield from (f"obeyed {what} {one}, which is not told" for one in seen if one not in told)
    yield from (f"never obeyed {what} {one}" for one in told if one not in seen)


def test_the_rows_are_what_every_command_in_every_state_shows() -> None:
    assert wrong(ROWS) == []


def test_every_command_of_every_inbox_has_a_row() -> None:
    assert ROWS.keys() == {model.type for decider in DECIDERS.values() for model in decider.inbox}
    assert list(ROWS.values()) == rows()


def test_only_what_is_obeyed_in_silence_has_no_answer() -> None:
    silent = {model.type for decider in DECIDERS.values() for model in decider.inbox if model.is_silent}
    assert {type_ for type_, row in ROWS.items() if not row["pending"] + row["final"]} == silent


def changed(type_: str, **values: Any) -> Callable[[], Mapping[str, Row]]:
    return lambda: {**ROWS, type_: {**ROWS[type_], **values}}


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (changed("order.ship.v1", states=["awaiting_shipment"]), "order.ship.v1: obeyed in the state disputed"),
        (
            changed("dispute.appeal.v1", states=["decided", "closed"]),
            "dispute.appeal.v1: never obeyed in the state closed",
        ),
        (changed("order.place.v1", states=None), "order.place.v1: obeyed in the state None"),
        (changed("refund.hold.v1", states=["failed"]), "refund.hold.v1: obeyed in the state nothing of the kind"),
        (changed("order.cancel.v1", roles=["buyer", "seller"]), "order.cancel.v1: obeyed given by operator"),
        (changed("dispute.waive_appeal.v1", clock=None), "dispute.waive_appeal.v1: too late behind ('appeal_window',)"),
        (
            changed("dispute.reject.v1", clock="auto_escalation"),
            "dispute.reject.v1: too late behind ('seller_first_response',), not auto_escalation",
        ),
        (changed("order.refund.v1", clock="protection_ends"), "order.refund.v1: never too late behind protection_ends"),
        (
            changed("dispute.open.v1", pending=[], final=["dispute.requested.v1", *ROWS["dispute.open.v1"]["final"]]),
            "dispute.open.v1: answered by ('dispute.requested.v1',), which are not pending",
        ),
        (
            changed("dispute.open.v1", final=["dispute.opened.v1"]),
            "dispute.open.v1: answered later by ('dispute.open_refused.v1',)",
        ),
        (
            changed("dispute.escalate.v1", pending=["dispute.escalated.v1"], final=[]),
            "dispute.escalate.v1: nothing follows on dispute.escalated.v1, which is pending",
        ),
        (changed("order.cancel.v1", final=["order.cancelled.v1"]), "order.cancel.v1: answered by ('order.lines_"),
        (
            changed("refund.retry.v1", final=["refund.submitted.v1", "refund.settled.v1"]),
            "refund.retry.v1: never answered by refund.settled.v1",
        ),
        (changed("mediation.ask.v1", rejected="dispute.rejected.v1"), "mediation.ask.v1: refused by"),
        (changed("timer.schedule.v1", final=["timer.cancelled.v1"]), "timer.schedule.v1: answered by (), of which not"),
        (changed("timer.cancel.v1", final=[]), "timer.cancel.v1: answered by timer.cancelled.v1"),
        (changed("timer.cancel.v1", repeated="timer.cancelled.v1"), "timer.cancel.v1: repeated, it is told ()"),
        (
            changed("mediation.ask.v1", repeated=None),
            "mediation.ask.v1: repeated, it is told ('mediation.repeated.v1',)",
        ),
        (lambda: {type_: row for type_, row in ROWS.items() if type_ != "order.ship.v1"}, "order.ship.v1 has no row"),
    ],
)
def test_a_wrong_row_is_found(plant: Callable[[], Mapping[str, Row]], found: str) -> None:
    assert any(sentence.startswith(found) for sentence in wrong(plant())), wrong(plant())
