"""What it says to a command that changed nothing of a dispute."""

from typing import Annotated

from pydantic import Field

from schemas.dispute.shapes import DisputeClocks, DisputeStatus
from schemas.example import BUYER, fields
from schemas.wire import STAMPED, Id, Rejected, Repeated, Resumed


class DisputeRejected(Rejected):
    """A command to the dispute service was refused, and nothing changed."""

    type = "dispute.rejected.v1"
    topic = "dispute.events"
    example = fields(actor=BUYER, refused="dispute.appeal.v1", dispute_id="A-1001.d1", status="closed", deadlines=[])

    dispute_id: Annotated[Id | None, Field(description="that it was about, as far as that could be read")] = STAMPED
    status: Annotated[DisputeStatus | None, Field(description="where the dispute stands; null: there is none")] = (
        STAMPED
    )
    deadlines: DisputeClocks = None


class DisputeRepeated(Repeated):
    """A command that came before came again. It had its effect then, and its answer, which this one names."""

    type = "dispute.repeated.v1"
    topic = "dispute.events"
    example = fields(actor=BUYER, answer_type="dispute.requested.v1")


class DisputeResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "dispute.resumed.v1"
    topic = "dispute.events"
