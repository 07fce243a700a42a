"""What its messages are made of."""

from typing import Literal

Leg = Literal["refund", "payout", "chargeback"]
