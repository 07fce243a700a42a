"""From what somebody typed to a command of the contract: who acts is who is signed in, whatever he wrote."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import to_json

from schemas.catalogue import CONTRACT
from schemas.topics import COMMAND_BYTES_MAX
from schemas.visibility import Viewer
from schemas.wire import Command
from services.casefile.front.turned_away import NotAllowed, Wrong
from services.casefile.shown.reading import Asked

COMMANDS: Mapping[str, type[Command]] = {
    name: model for name, model in CONTRACT.items() if issubclass(model, Command) and model.by - {"platform"}
}
"""What people may say, by wire type."""
NEWEST: Mapping[str, type[Command]] = {
    name.rpartition(".v")[0]: model
    for name, model in sorted(COMMANDS.items(), key=lambda one: int(one[0].rpartition(".v")[2]))
}
"""The same without its version."""
COMMAND_ID_MAX = 255
OURS = ("order_id", "actor")
"""Fields of a command that stand beside its data."""


class Sender(Protocol):
    """Hands commands to the bus. Raises Outage: perhaps it is there, and the same id sent again is the same command
    (R81)."""

    async def send(self, command: Command, command_id: str, trace: Mapping[str, str]) -> None:
        """`trace`: `traceparent`, and `tracestate`, where whoever asked has them."""
        ...


def command_model(type_: str) -> type[Command]:
    """`mediation.decide.v1`, or without a version the newest. Raises Wrong."""
    model = COMMANDS.get(type_) or NEWEST.get(type_)
    if model is None:
        raise Wrong(f"There is no command {type_[:100]}.", "type")
    return model


def allowed(type_: str, role: Viewer) -> type[Command]:
    """Raises Wrong, or NotAllowed: nobody in this role says such a thing."""
    model = command_model(type_)
    if role not in model.by:
        raise NotAllowed(f"{model.type} is said by {' or '.join(sorted(model.by))}, never by {role}.", "type")
    return model


def worded(asked: Asked, order_id: str, type_: str, data: Mapping[str, Any]) -> Command:
    """The command as it will lie on the bus. Raises Wrong, naming the first field that is not as it must be, and
    NotAllowed."""
    model = allowed(type_, asked.role)
    beside = next((name for name in OURS if name in data), None)
    if beside is not None:
        raise Wrong("Of which order it is stands beside the data, and who acts is who is signed in.", beside)
    said = {"order_id": order_id, "actor": {"role": asked.role, "id": asked.id}, **data}
    try:
        command = model.model_validate_json(to_json(said))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise Wrong(
            f"{first['msg'].removeprefix('Value error, ')}.", ".".join(map(str, first["loc"])) or None
        ) from None
    except ValueError:
        raise Wrong("It holds what no JSON can hold.", "data") from None
    if len(on_the_wire(command)) > COMMAND_BYTES_MAX:
        raise Wrong(f"A command has at most {COMMAND_BYTES_MAX} bytes.", "data")
    return command


def on_the_wire(command: Command) -> bytes:
    """What was left out stays out: a repeat says the same whatever fields the contract has grown since."""
    return command.model_dump_json(exclude_unset=True, by_alias=True).encode()


def command_named(command_id: str) -> str:
    """The id that a command may have on the bus. Raises Wrong."""
    fits = command_id.isprintable() and 0 < len(command_id.encode(errors="replace")) <= COMMAND_ID_MAX
    if not fits:
        raise Wrong(f"An id has 1 to {COMMAND_ID_MAX} bytes of printable text.", "id")
    return command_id
