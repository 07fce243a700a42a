"""Messages as a commit keeps them."""

from datetime import UTC, datetime

from schemas.instants import to_ms
from schemas.wire import Message, OrderMessage
from shared.kernel.ports import StoredEvent

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def stored_event(
    message: Message,
    *,
    shard: int = 0,
    position: int = 1,
    sequence: int | None = None,
    topic: str | None = None,
    at: datetime = NOON,
    correlation_id: str = "story",
    traceparent: str | None = None,
    data: bytes | None = None,
) -> StoredEvent:
    """`sequence`: None for its position; `topic`: None for the message's own."""
    assert isinstance(message, OrderMessage)
    return StoredEvent(
        shard=shard,
        position=position,
        sequence=position if sequence is None else sequence,
        topic=topic or message.topic,
        partition=shard,
        key=None,
        stream_id=message.order_id,
        type=message.type,
        time=to_ms(at),
        id=f"event-{position}",
        causation_id="cause",
        correlation_id=correlation_id,
        traceparent=traceparent,
        data=data,
        message=message,
    )
