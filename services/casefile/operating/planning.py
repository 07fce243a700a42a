"""What an operator does to many things at once: first the list of it, then, with its token, exactly that list.

A token follows from the list and from who asked for it; nothing is remembered in between. What has changed since makes
another list, and so another token: it is to be looked at again.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_never

from pydantic import ConfigDict, Field
from pydantic_core import to_json

from schemas.mediation.commands import AssignMediator
from schemas.wire import Label, PersonId
from services.casefile.front.api import At
from services.casefile.front.turned_away import Wrong
from services.casefile.front.uttering import Sender, worded
from services.casefile.operating.own_store import OwnTables
from services.casefile.operating.redriving import RawBus, as_it_came, stays
from services.casefile.operating.stuck import SetAside
from services.casefile.operating.stuck_store import LetterFilter, StuckTables
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import AsOf, Shown
from shared.kernel.ports import Outage

STEPS_MAX = 500
"""Of one plan; who has more makes another one when these are done."""
What = Literal["redrive", "dismiss", "resume", "resend", "reassign"]


class PlanAsked(Shown):
    """Which things are meant; what is left out is not asked by."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    what: What = Field(
        description="`redrive`: dead letters go back to where they came from, under their own ids; `dismiss`: they are "
        "seen to and leave the list; `resume`: parked orders go on; `resend`: whoever was given up is told again; "
        "`reassign`: all open cases of a mediator get others"
    )
    topic: Label | None = Field(default=None, description="dead letters: of this `….dead-letters` topic")
    reason: Label | None = Field(
        default=None, description="dead letters: their code; parked orders: how the reason begins; deliveries: problem"
    )
    id: Label | None = Field(default=None, description="dead letters: the one whose `ce_id` it is")
    since: Annotated[At | None, Field(strict=False, description="dead letters: set aside then or later")] = None
    service: Label | None = Field(default=None, description="parked orders: in this service")
    mediator: PersonId | None = Field(default=None, description="reassign: whose cases")
    to: list[PersonId] = Field(default=[], max_length=100, description="reassign: who gets them, in turn")


class PlanApplied(PlanAsked):
    """The same, with the token of the list that was shown."""

    token: str
    why: str = Field(
        min_length=1, max_length=2_000, pattern=r"^[^\x00]*$", description="it is kept, with who did it and when"
    )


class StepShown(Shown):
    """One thing of a list."""

    order_id: str | None
    about: dict[str, Any]
    sentence: str
    stays: str | None = Field(default=None, description="why it is left alone; null: it is not")
    done: bool | None = Field(default=None, description="null: not yet tried")


class PlanShown(Shown):
    """The list; once applied, how each thing went."""

    what: What
    token: str = Field(description="to be given back with the same question, to have it done")
    steps: list[StepShown]
    more: bool = Field(description="there are others: make another plan when these are done")
    audit: int | None = Field(default=None, description="its number among what operators did; null: nothing is done")
    as_of: AsOf


@dataclass(frozen=True)
class Step:
    """`letter`: it goes back or is dismissed; else a command: its type and data."""

    order_id: str | None
    about: dict[str, Any]
    sentence: str
    letter: SetAside | None = None
    type: str | None = None
    data: dict[str, Any] | None = None
    stays: str | None = None
    version: str = ""
    """Another one each time that it stands still anew: what was done about it before is not done again by the same id.
    """


class Planner:
    """Raises TurnedAway, and Outage."""

    def __init__(self, tables: StuckTables, own: OwnTables, sender: Sender, bus: RawBus) -> None:
        self.tables, self.own, self.sender, self.bus = tables, own, sender, bus

    async def plan(self, asked: Asked, wanted: PlanAsked) -> PlanShown:
        as_of = await self.tables.as_of()
        steps, more = await self._steps(wanted)
        shown = [_shown(step, None) for step in steps]
        return PlanShown(what=wanted.what, token=_token(asked, wanted.what, steps), steps=shown, more=more, as_of=as_of)

    async def apply(self, asked: Asked, wanted: PlanApplied) -> PlanShown:
        """What is done is audited first; a step that fails leaves the others to be done."""
        as_of = await self.tables.as_of()
        steps, more = await self._steps(wanted)
        token = _token(asked, wanted.what, steps)
        if token != wanted.token:
            raise Wrong("The list is another one by now: look at it again.", "token")
        if all(step.stays for step in steps):
            raise Wrong("There is nothing to be done.", "what")
        about = {
            "asked": wanted.model_dump(mode="json", exclude={"token", "why"}),
            "steps": [one.about for one in steps],
        }
        audit = await self.own.audited(asked.id, wanted.what, wanted.why, None, about)
        done = [_shown(step, ok) async for step, ok in self._done(asked, wanted, steps, audit, token)]
        return PlanShown(what=wanted.what, token=token, steps=done, more=more, audit=audit, as_of=as_of)

    async def _steps(self, wanted: PlanAsked) -> tuple[Sequence[Step], bool]:
        steps: list[Step]
        match wanted.what:
            case "redrive" | "dismiss":
                asked = LetterFilter(wanted.topic, wanted.reason, wanted.since, None, wanted.id)
                steps = [_of_letter(one, wanted.what) for one in await self.tables.letters(asked, STEPS_MAX + 1)]
            case "resume":
                parked = await self.tables.parked(wanted.service, wanted.reason, STEPS_MAX + 1)
                steps = [
                    Step(
                        one.order_id,
                        {"service": one.service, "order_id": one.order_id},
                        f"{one.order_id} goes on in {one.service}: {one.reason}",
                        type=f"{one.service}.resume.v1",
                        data={},
                        version=f"{one.source}/{one.sequence}",
                    )
                    for one in parked
                ]
            case "resend":
                steps = [
                    Step(
                        row.order_id,
                        dict(row.about),
                        f"{row.about['recipient']} is told again ({row.about['template']})",
                        type="notification.resend.v1",
                        data={"delivery_id": row.about["delivery_id"]},
                        version=row.since.isoformat(),
                    )
                    for row in (await self.tables.stuck("undelivered", None, STEPS_MAX + 1)).rows
                    if wanted.reason in (None, row.reason)
                ]
            case "reassign":
                steps = await self._reassigned(wanted)
            case _:
                assert_never(wanted.what)
        return steps[:STEPS_MAX], len(steps) > STEPS_MAX

    async def _reassigned(self, wanted: PlanAsked) -> list[Step]:
        if wanted.mediator is None or not wanted.to:
            raise Wrong("Whose cases, and who gets them?", "mediator" if wanted.mediator is None else "to")
        if wanted.mediator in wanted.to:
            raise Wrong("He has them.", "to")
        cases = await self.tables.cases_of(wanted.mediator, STEPS_MAX + 1)
        return [
            Step(
                one.order_id,
                {
                    "dispute_id": one.dispute_id,
                    "from": wanted.mediator,
                    "to": (to := wanted.to[number % len(wanted.to)]),
                },
                f"{one.dispute_id} goes from {wanted.mediator} to {to}",
                type=AssignMediator.type,
                data={"dispute_id": one.dispute_id, "mediator_id": to},
                version=one.updated_at.isoformat(),
            )
            for number, one in enumerate(cases)
        ]

    async def _done(
        self, asked: Asked, wanted: PlanApplied, steps: Sequence[Step], audit: int, token: str
    ) -> AsyncIterator[tuple[Step, bool | None]]:
        going = [step.letter for step in steps if step.letter and not step.stays and wanted.what == "redrive"]
        raw = await self.bus.read([one[:3] for one in going]) if going else {}
        for step in steps:
            if step.stays:
                yield step, None
                continue
            try:
                if step.letter is None:
                    assert step.order_id is not None
                    assert step.type is not None
                    command = worded(asked, step.order_id, step.type, step.data or {})
                    await self.sender.send(command, _command_id(token, step), {})
                    yield step, True
                elif wanted.what == "dismiss":
                    await self.own.deal_with(step.letter, "dismissed", audit)
                    yield step, True
                else:
                    found = raw.get(step.letter[:3])
                    original = as_it_came(found) if found is not None else None
                    if original is not None:
                        await self.bus.write(original)
                        await self.own.deal_with(step.letter, "redriven", audit)
                    yield step, original is not None
            except Outage:
                yield step, False


def _of_letter(letter: SetAside, what: str) -> Step:
    about = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset, "id": letter.id}
    sentence = f"{letter.type or 'a record'} of {letter.original_topic} {letter.original_place}: {letter.reason}"
    return Step(letter.order_id, about, sentence, letter, stays=stays(letter) if what == "redrive" else None)


def _shown(step: Step, done: bool | None) -> StepShown:
    return StepShown(order_id=step.order_id, about=step.about, sentence=step.sentence, stays=step.stays, done=done)


def _token(asked: Asked, what: str, steps: Sequence[Step]) -> str:
    said = [asked.id, what, [[step.order_id, step.about, step.type, step.version] for step in steps]]
    return hashlib.blake2b(to_json(said), digest_size=16).hexdigest()


def _command_id(token: str, step: Step) -> str:
    """The same list applied again is the same commands (R81)."""
    return hashlib.blake2b(to_json([token, step.order_id, step.type, step.data]), digest_size=16).hexdigest()
