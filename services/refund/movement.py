"""A movement of money and its names, and what the refund service notes of money for itself alone."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import PolicyRef
from schemas.example import POLICY, fields
from schemas.payments.shapes import Leg
from schemas.wire import Currency, Id, Minor, PersonId, PositiveMinor, PrivateEvent, Shape


class Movement(Shape):
    """One leg of a settlement: so much money to or from one party."""

    settlement_id: Id
    leg: Leg | Literal["capture"]
    amount_minor: PositiveMinor
    generation: Annotated[int, Field(ge=1)] = 1
    """Above 1: of money that had moved, and came back (R62)."""

    @property
    def key(self) -> str:
        """By which its leg is known here."""
        return leg_key(self.settlement_id, self.leg)

    @property
    def payment_key(self) -> str:
        """The name of the movement at the provider, for ever (N7)."""
        return self.key if self.generation == 1 else f"{self.key}~{self.generation}"


def capture_key(order_id: str) -> str:
    """Under which the payment service is asked about the buyer's payment (R61)."""
    return leg_key(order_id, "capture")


def leg_key(settlement_id: str, leg: str) -> str:
    return f"{settlement_id}/{leg}"


def generation_of(payment_key: str) -> int | None:
    """None: no movement of ours is called so."""
    _, mark, number = payment_key.partition("~")
    return 1 if not mark else int(number) if number.isascii() and number.isdigit() and len(number) < 9 else None


class CaptureAwaited(PrivateEvent):
    """The order was placed, and the payment service is to say whether its payment is captured (R61)."""

    type = "refund.capture_awaited.v1"
    example = fields(
        payment_id="pay-7f3a", amount_minor=1_250, currency="EUR", buyer_id="bea", seller_id="sam", policy=POLICY
    )

    payment_id: Id
    amount_minor: PositiveMinor
    currency: Currency
    buyer_id: PersonId
    seller_id: PersonId
    policy: PolicyRef


class Commission(Shape):
    """What a settlement gives to the platform, and what it gives back (R69). No provider is called: it stays where it
    is."""

    settlement_id: Id
    taken_minor: Minor
    returned_minor: Minor


class CommissionTaken(PrivateEvent):
    """Part of a release is the platform's (R69): an entry of the ledger."""

    type = "refund.commission_taken.v1"
    example = fields(settlement_id="A-1001.s1", currency="EUR", amount_minor=35)

    settlement_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class CommissionReturned(PrivateEvent):
    """Money that was released is refunded, and with it the platform's part of it (R69): an entry of the ledger."""

    type = "refund.commission_returned.v1"
    example = fields(settlement_id="A-1001.s2", currency="EUR", amount_minor=30)

    settlement_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class CaptureLapsed(PrivateEvent):
    """The order was cancelled before its payment was captured: nobody is asked any more, and a capture that comes later
    goes back in full under this settlement (R61)."""

    type = "refund.capture_lapsed.v1"
    example = fields(settlement_id="A-1001.s1")

    settlement_id: Id


class MovementsNoted(PrivateEvent):
    """Movements of an order that has not been heard to be placed: they wait for that."""

    type = "refund.movements_noted.v1"
    example = fields(movements=[{"settlement_id": "A-1001.s1", "leg": "refund", "amount_minor": 900}], commissions=[])

    movements: tuple[Movement, ...]
    commissions: tuple[Commission, ...] = ()
