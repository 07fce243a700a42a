"""`make foresee ORDER=… AS=buyer`: what becomes of an order if nobody acts, and who may do what until when; with
`TRY=dispute.cancel DATA='{…}'` what becomes of it if he says that now. Read from a running system's topics, asked of
the services' own rules. Nothing is sent and nothing changes."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.local.history import address, asked_of, of_one_order, read, seen_by
from deploy.stories.seen import EVENT_TOPICS, Seen
from deploy.stories.telling import phrase
from schemas.catalogue import CONTRACT
from schemas.visibility import Viewer, may_see, view
from schemas.wire import MEDIATORS_KEY, Actor, Command, Event, Rejected
from services.casefile.acts import Act, Acts
from services.casefile.oracle import TAKEN, Foreseen, Outlook, remembered
from services.casefile.remembered import in_order
from shared.kernel import codec
from shared.kernel.envelope import explained
from shared.kernel.policies import Policies, PolicyMissing
from shared.kernel.ports import Record
from shared.rules import policies

OF_THE_ORDER = (*EVENT_TOPICS, "payments.events", "mediation.roster")
OF_THE_ROSTER = ("mediation.events", "mediation.roster")


@dataclass(frozen=True)
class LookedAt:
    """What the topics say of an order, and who looks at it."""

    outlook: Outlook
    said: Sequence[Event]
    viewer: Viewer

    @property
    def actors(self) -> list[Actor]:
        """Those of whom the viewer is shown what they may do: he himself, and for an operator everybody."""
        people: dict[str, Actor] = {"operator": Actor(role="operator", id="operator")}
        for event in self.said:
            for role in ("buyer", "seller", "mediator"):
                if (person := getattr(event, role, None)) is not None:
                    people[role] = Actor(role=role, id=person.id)
        return [actor for role, actor in people.items() if self.viewer in (role, "operator")]


def if_nobody_acts(known: LookedAt, acts: Acts) -> Iterator[str]:
    """And who may do what."""
    yield f"  As it stands on {_at(known.outlook.now)}. If nobody acts:"
    yield from _told(known.outlook.fork().nobody_acts(), known.viewer)
    for actor in known.actors:
        may = [act for act in acts.of(actor) if act.refusal is None or act.from_]
        yield f"  What the {actor.role} may do:"
        yield from (f"    {_act(act)}" for act in may)
        if not may:
            yield "    nothing"


def if_he_says(known: LookedAt, command: Command) -> Iterator[str]:
    """What follows at once, and then if nobody acts."""
    tried = known.outlook.fork()
    yield f"  If the {command.actor.role} says {command.type.removesuffix('.v1')} on {_at(tried.now)}:"
    answer = tried.say(command)
    yield from _told(answer, known.viewer)
    if not any(isinstance(one.event, Rejected) for one in answer):
        yield "  And then, if nobody acts:"
        yield from _told(tried.nobody_acts(), known.viewer)


def _told(ahead: Sequence[Foreseen], viewer: Viewer) -> Iterator[str]:
    shown = [one for one in ahead if may_see(one.event, viewer)]
    for one in shown:
        seen = Seen(one.at, one.event.type.rpartition(".")[0], view(one.event, viewer).data, "", "/")
        yield f"    {_at(one.at)}  {phrase(seen)}"
    if not shown:
        yield "    nothing more happens"


def _act(act: Act) -> str:
    command: Any = act.command
    about = [f"{name} {said}" for name in ("dispute_id", "offer_id", "question_id", "settlement_id", "leg", "expect")
             if (said := getattr(command, name, None)) is not None]  # fmt: skip
    what = ", ".join([command.type.removesuffix(".v1"), *about])
    from_ = f" from {_at(act.from_)}" if act.from_ else ""
    return f"{what:<66}{from_} {f'until {_at(act.until)}' if act.until else 'without an end'}"


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def looked_at(
    order_id: str,
    records: Sequence[Record],
    roster: Sequence[Record],
    policies: Policies,
    viewer: Viewer,
    now: datetime,
) -> LookedAt:
    said = [
        CONTRACT[type_].read(record.value or b"")
        for record in records
        if (type_ := codec.header(record.headers, "ce_type") or "") in CONTRACT and record.topic in EVENT_TOPICS
    ]
    events = [event for event in said if isinstance(event, Event)]
    return LookedAt(remembered(order_id, records, roster, policies, now), events, viewer)


def wish(known: LookedAt, order_id: str, name: str, data: str) -> Command:
    """The viewer's own. Raises ValueError, in a sentence."""
    model = CONTRACT.get(f"{name}.v1")
    if model is None or not issubclass(model, Command) or model.type not in TAKEN:
        raise ValueError(f"There is no command {name} about an order.")
    actor = next((one for one in known.actors if one.role == known.viewer), None)
    if actor is None:
        raise ValueError(f"The order has no {known.viewer} yet.")
    try:
        said = json.dumps(json.loads(data) | {"order_id": order_id, "actor": actor.model_dump()})
        return model.model_validate_json(said)
    except ValidationError as error:
        raise ValueError(f"{name} cannot be said so: {explained(error)}") from None
    except (ValueError, TypeError):
        raise ValueError("DATA is no JSON object.") from None


async def _both(servers: str, prefix: str, order_id: str) -> tuple[list[Any], list[Any]]:
    return await read(servers, prefix, order_id, OF_THE_ORDER), await read(
        servers, prefix, MEDIATORS_KEY, OF_THE_ROSTER
    )


def main() -> None:
    parser = of_one_order("deploy.local.foresee", __doc__)
    parser.add_argument("--try", dest="name", metavar="COMMAND", help="what becomes of it if he says this now")
    parser.add_argument("--data", default="{}", help="what the command says, as JSON, without order_id and actor")
    asked = parser.parse_args()
    servers, prefix = address()
    lain = asked_of(servers, _both(servers, prefix, asked.order))
    if not seen_by(lain[0], asked.viewer):
        raise SystemExit(f"There is nothing about the order {asked.order} to be seen as {asked.viewer}.")
    records, roster = (in_order(_named(one, prefix) for one in half) for half in lain)
    folder = os.environ.get("RECOURSE_POLICIES_FOLDER")
    known = policies.load(Path(folder), policies.load()) if folder else policies.load()
    try:
        found = looked_at(asked.order, records, roster, known, asked.viewer, datetime.now(UTC))
        if asked.name:
            print(*if_he_says(found, wish(found, asked.order, asked.name, asked.data)), sep="\n")
        else:
            print(*if_nobody_acts(found, Acts(found.outlook, asked.order, found.said)), sep="\n")
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except PolicyMissing as missing:
        raise SystemExit(
            f"The order lives under {missing}: say in RECOURSE_POLICIES_FOLDER where its file is."
        ) from None


def _named(record: Any, prefix: str) -> Record:
    topic = record.topic.removeprefix(prefix)
    return Record(topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


if __name__ == "__main__":
    main()
