"""`make foresee ORDER=… AS=buyer`: what becomes of an order if nobody acts, and who may do what until when; read from a
running system's topics, asked of the services' own rules. Nothing is sent and nothing changes."""

import argparse
import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from deploy.local.history import address, read, seen_by
from deploy.stories.seen import EVENT_TOPICS, Seen
from deploy.stories.telling import phrase
from schemas.catalogue import CONTRACT
from schemas.visibility import Viewer, may_see, view
from schemas.wire import MEDIATORS_KEY, Actor, Event
from services.casefile.acts import Act, Acts
from services.casefile.oracle import Outlook, remembered
from services.casefile.remembered import in_order
from shared.kernel import codec
from shared.kernel.policies import Policies, PolicyMissing
from shared.kernel.ports import Record
from shared.rules import policies
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS

OF_THE_ORDER = (*EVENT_TOPICS, "payments.events", "mediation.roster")
OF_THE_ROSTER = ("mediation.events", "mediation.roster")


def lines(outlook: Outlook, acts: Acts, actors: Sequence[Actor], viewer: Viewer) -> Iterator[str]:
    yield f"  As it stands on {_at(outlook.now)}. If nobody acts:"
    ahead = [one for one in outlook.fork().nobody_acts() if may_see(one.event, viewer)]
    for one in ahead:
        seen = Seen(one.at, one.event.type.rpartition(".")[0], view(one.event, viewer).data, "", "/")
        yield f"    {_at(one.at)}  {phrase(seen)}"
    if not ahead:
        yield "    nothing more happens"
    for actor in actors:
        may = [act for act in acts.of(actor) if act.verdict.obeyed or act.from_]
        yield f"  What the {actor.role} may do:"
        yield from (f"    {_act(act)}" for act in may)
        if not may:
            yield "    nothing"


def _act(act: Act) -> str:
    command: Any = act.command
    about = [f"{name} {said}" for name in ("dispute_id", "offer_id", "question_id", "settlement_id", "leg", "expect")
             if (said := getattr(command, name, None)) is not None]  # fmt: skip
    what = ", ".join([command.type.removesuffix(".v1"), *about])
    from_ = f" from {_at(act.from_)}" if act.from_ else ""
    return f"{what:<66}{from_} {f'until {_at(act.until)}' if act.until else 'without an end'}"


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def actors(said: Iterable[Event], viewer: Viewer) -> list[Actor]:
    """Those of whom the viewer is shown what they may do: he himself, and for an operator everybody."""
    people: dict[str, Actor] = {"operator": Actor(role="operator", id="operator")}
    for event in said:
        for role in ("buyer", "seller", "mediator"):
            if (person := getattr(event, role, None)) is not None:
                people[role] = Actor(role=role, id=person.id)
    return [actor for role, actor in people.items() if viewer in (role, "operator")]


def foreseen(
    order_id: str, records: Sequence[Record], roster: Sequence[Record], known: Policies, viewer: Viewer, now: datetime
) -> Iterator[str]:
    said = [
        CONTRACT[type_].read(record.value or b"")
        for record in records
        if (type_ := codec.header(record.headers, "ce_type") or "") in CONTRACT and record.topic in EVENT_TOPICS
    ]
    events = [event for event in said if isinstance(event, Event)]
    outlook = remembered(order_id, records, roster, known, now)
    return lines(outlook, Acts(outlook, order_id, events), actors(events, viewer), viewer)


async def _both(servers: str, prefix: str, order_id: str) -> tuple[list[Any], list[Any]]:
    return await read(servers, prefix, order_id, OF_THE_ORDER), await read(
        servers, prefix, MEDIATORS_KEY, OF_THE_ROSTER
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.foresee", description=__doc__)
    parser.add_argument("order", help="the order's id")
    parser.add_argument("--as", dest="viewer", choices=get_args(Viewer), default="operator", help="who looks at it")
    asked = parser.parse_args()
    servers, prefix = address()
    try:
        internals.install()
        found = asyncio.run(_both(servers, prefix, asked.order))
    except CLIENT_ERRORS as error:
        raise SystemExit(f"Nobody to ask at {servers}: {error}") from None
    if not seen_by(found[0], asked.viewer):
        raise SystemExit(f"There is nothing about the order {asked.order} to be seen as {asked.viewer}.")
    records, roster = (list(in_order(_named(one, prefix) for one in half)) for half in found)
    folder = os.environ.get("RECOURSE_POLICIES_FOLDER")
    known = policies.load(Path(folder), policies.load()) if folder else policies.load()
    try:
        print(*foreseen(asked.order, records, roster, known, asked.viewer, datetime.now(UTC)), sep="\n")
    except PolicyMissing as missing:
        raise SystemExit(
            f"The order lives under {missing}: say in RECOURSE_POLICIES_FOLDER where its file is."
        ) from None


def _named(record: Any, prefix: str) -> Record:
    topic = record.topic.removeprefix(prefix)
    return Record(topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


if __name__ == "__main__":
    main()
