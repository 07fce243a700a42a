"""What every event of it says."""

from typing import Annotated

from pydantic import Field

from schemas.common import DisputeId
from schemas.example import fields
from schemas.mediation.shapes import MediationClocks, MediationStatus
from schemas.wire import STAMPED, Event


class MediationEvent(Event):
    topic = "mediation.events"


class CaseEvent(MediationEvent):
    """`status` is where the case stands after it; each viewer sees his own name for it (R38). `deadlines` are its
    clocks (R83)."""

    example = fields(dispute_id="A-1001.d1", deadlines=[])

    dispute_id: DisputeId
    status: Annotated[
        MediationStatus,
        Field(description="where the case stands after it; people are told in words of their own (R38)"),
    ] = STAMPED
    deadlines: MediationClocks = None
