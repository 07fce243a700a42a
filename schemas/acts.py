"""What may be asked, by whom, where, until when, and what answers it: a row for every command of every inbox.

`make schemas` writes it from what the commands declare beside their shapes; the AsyncAPI document has each row at its
message, as `x-act`. For gateways, which have to know whether to wait for more, and for whoever shows people what they
can do. tests/domain/test_acts.py tries every command in every state against it.
"""

from pathlib import Path
from typing import Any

from schemas.publish import as_text
from schemas.wire import Command, Event, Rejected, Repeated, Resume, Resumed

ACTS = Path(__file__).parent / "acts.json"

Row = dict[str, Any]

WHAT_A_ROW_SAYS = {
    "type": "the wire type of the command",
    "roles": "who may give it",
    "states": "where it can be obeyed: words of the `status` of the order, the dispute or the case that it is about, "
    "or of the `stage` of the movement; null among them: it is not there yet; null instead of them: nothing of the "
    "kind is told of what it is about",
    "clock": "the name, in `deadlines`, of the clock behind whose `at` it is refused as `too_late`; null: none of its "
    "own, what ends it is that its states end. `seller_first_response` binds the seller alone; until when a dispute "
    "can be opened the order's events say (`disputable_until`)",
    "pending": "event types: it was taken, and another answer follows, which is final and has its `ce_id` as "
    "`command_id`",
    "final": "event types: it was obeyed, and one of these says so. It has the command's `ce_id` as `ce_causationid`, "
    "or, behind a pending answer, as `command_id`. What follows from it may be said beside it. None, here and in "
    "`pending`: it is obeyed in silence, and only a refusal is said",
    "rejected": "event type: it was refused, for good; the `ce_causationid` is its `ce_id`",
    "repeated": "event type: it came before, and this says which event answered it then (R81); null: nobody is told",
}


def row(
    command: type[Command], rejected: type[Rejected], repeated: type[Repeated] | None, resumed: type[Resumed] | None
) -> Row:
    """Of a command, with the words of its service for a refusal, a repeat and a parked order that goes on."""
    answers = (resumed,) if resumed is not None and issubclass(command, Resume) else command.answers
    return {
        "type": command.type,
        "roles": sorted(command.by),
        "states": None if command.states is None else list(command.states),
        "clock": command.clock,
        "pending": _types(*command.pending),
        "final": _types(*answers),
        "rejected": rejected.type,
        "repeated": repeated.type if repeated else None,
    }


def _types(*events: type[Event]) -> list[str]:
    return [event.type for event in events]


def document(rows: list[Row]) -> Row:
    return {"about": WHAT_A_ROW_SAYS, "acts": rows}


def write(rows: list[Row]) -> Path:
    ACTS.write_text(as_text(document(rows)), "utf-8")
    return ACTS
