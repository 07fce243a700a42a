"""What holds for every question that operators alone ask of the case file: about its money, and about what is stuck."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from services.casefile.front.desk import BEHIND_SECONDS_MAX
from services.casefile.front.turned_away import Away, Behind, NotAllowed, Wrong
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import AsOf
from shared.kernel.ports import Outage

log = logging.getLogger(__name__)

T = TypeVar("T")


def operators_alone(asked: Asked, what: str) -> None:
    """Raises NotAllowed. Each look of theirs is in the log."""
    if asked.role != "operator":
        raise NotAllowed(f"Operators alone do this; you are signed in as {asked.role}.")
    log.info("an operator looks", extra={"operator": asked.id, "at": what})


async def answered(asking: Awaitable[T]) -> T:
    """Raises Away, and Wrong for a cursor that no list gave."""
    try:
        return await asking
    except Outage:
        raise Away("A server behind the case file does not answer.") from None
    except ValueError:
        raise Wrong("No list gave this cursor.", "cursor") from None


def fresh(as_of: AsOf) -> AsOf:
    """Raises Behind: it is too old to be shown as what is."""
    if as_of.behind_seconds > BEHIND_SECONDS_MAX:
        raise Behind(f"The case file is {as_of.behind_seconds:.0f} seconds behind what is said.")
    return as_of
