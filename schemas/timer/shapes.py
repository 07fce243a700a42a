"""What its messages are made of."""

from typing import Annotated

from pydantic import Field

from schemas.wire import Id, Label, Service

TimerId = Annotated[
    Label, Field(description="`<service>/<order_id>`: one alarm per order and service, for its earliest deadline")
]
DeadlineName = Annotated[Id, Field(description="of the deadline that the alarm is for (§8)")]
DeliverTo = Annotated[Service, Field(description="into whose inbox `timer.elapsed` goes")]
RangEarly = Annotated[
    bool,
    Field(description="its last bell came before its instant, by the broker's clock: what is past then waits"),
]
