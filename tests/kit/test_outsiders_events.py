"""Events that outsiders write are not deduplicated by sequence, and their ids are theirs to choose."""

from schemas.instants import EPOCH
from schemas.payments.events import PaymentSettled
from services.refund.domain import DECIDER
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.ports import Record
from shared.kernel.stream import OutgoingMessage, handle
from shared.runtime.partitions import home_among
from tests.domain.refund_desk import RefundDesk
from tests.domain.table import POLICIES

DECODER = Decoder(DECIDER, home_among(1))


def answered(desk: RefundDesk, offset: int, key: str, amount_minor: int) -> list[OutgoingMessage]:
    """What comes of an answer of the payment service, all of them under one and the same ce_id."""
    settled = PaymentSettled(
        order_id="order-1", payment_key=key, currency="EUR", amount_minor=amount_minor, provider_reference="bank"
    )
    headers = [("ce_id", b"always-the-same"), ("ce_type", settled.type.encode())]
    record = Record("payments.events", 0, offset, 0, b"order-1", settled.model_dump_json().encode(), headers)
    decoded = DECODER.decode(record, EPOCH)
    assert isinstance(decoded, Decoded)
    return handle(DECIDER, desk.stream, decoded.input, POLICIES, desk.answers)


def test_two_answers_under_one_id_lead_to_events_with_ids_of_their_own() -> None:
    """The ledger's entries carry the events' ids: a second one under a known id could not be booked."""
    desk = RefundDesk()
    desk.place()
    desk.settle(refund_minor=1_000, payout_minor=4_000, chargeback_minor=0)

    (refunded,) = answered(desk, 1, "s1/refund", 1_000)
    (paid_out,) = answered(desk, 2, "s1/payout", 4_000)

    assert (refunded.message.type, paid_out.message.type) == ("refund.settled.v1", "refund.paid_out.v1")
    assert refunded.id != paid_out.id
