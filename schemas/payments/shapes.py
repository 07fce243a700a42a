"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Label

Leg = Literal["refund", "payout", "chargeback"]

PaymentKey = Annotated[
    Label,
    Field(
        description="`<settlement_id>/<leg>`: the movement's idempotency key, for ever; `…~2` is another movement, of "
        "what had come back, or of the rest where less had moved (R62)"
    ),
]
