"""The sandbox: a payment provider in process, for places without the platform's payment service (N7).

It reads `payments.commands` and writes `payments.events` as that service would, so nothing else knows the difference.
Every movement succeeds; each key is paid once, however often it is asked for.
"""

import asyncio
import logging
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from schemas.payments.commands import ChargeBack, ConfirmPayment, PayBack, PayOut, QueryPayment
from schemas.payments.events import PaymentCaptured, PaymentFailed, PaymentSettled
from services.refund.movement import capture_key
from shared.kernel import codec
from shared.kernel.ports import Outage, StoredEvent
from shared.runtime.kafka.connection import connection
from shared.runtime.kafka.publisher import KafkaPublisher
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

BATCH_MAX = 500
POLL_MS = 200
RESTART_SECONDS = 1.0

PaymentCommand = PayBack | PayOut | ChargeBack | ConfirmPayment | QueryPayment
PaymentReply = PaymentSettled | PaymentCaptured | PaymentFailed
COMMANDS: dict[str, type[PaymentCommand]] = {
    model.type: model for model in (PayBack, PayOut, ChargeBack, ConfirmPayment, QueryPayment)
}

PAID = """
SELECT payment_key, currency, amount_minor, provider_reference FROM sandbox_payment WHERE payment_key = ANY ($1::text[])
"""
PAY = """
INSERT INTO sandbox_payment (payment_key, currency, amount_minor, provider_reference)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) ON CONFLICT (payment_key) DO NOTHING
"""


class Paid(NamedTuple):
    """What is remembered of a movement, under its payment key."""

    currency: str
    amount_minor: int
    provider_reference: str


def answer(known: Paid | None, command: PaymentCommand) -> PaymentReply:
    """The same key gets the same answer for ever; another movement under a known key is refused for good."""
    if isinstance(command, QueryPayment):
        if known is None:
            return _failed(command, "unknown_key", retryable=True)
        return _settled(command, known)
    asked = Paid(command.currency, command.amount_minor, _reference(command))
    if known not in (None, asked):
        return _failed(command, "key_used_otherwise", retryable=False)
    return _settled(command, asked)


def _reference(command: PayBack | PayOut | ChargeBack | ConfirmPayment) -> str:
    """Of a capture the payment itself."""
    if isinstance(command, ConfirmPayment):
        return command.payment_id
    return f"sandbox-{blake2b(command.payment_key.encode(), digest_size=8).hexdigest()}"


def _settled(command: PaymentCommand, paid: Paid) -> PaymentSettled | PaymentCaptured:
    if command.payment_key == capture_key(command.order_id):
        currency, amount_minor, payment_id = paid
        return PaymentCaptured(
            order_id=command.order_id, payment_id=payment_id, currency=currency, amount_minor=amount_minor
        )
    return PaymentSettled(order_id=command.order_id, payment_key=command.payment_key, **paid._asdict())


def paid_by(given: PaymentSettled | PaymentCaptured) -> Paid:
    """As it is remembered."""
    name = given.payment_id if isinstance(given, PaymentCaptured) else given.provider_reference
    return Paid(given.currency, given.amount_minor, name)


def _failed(command: PaymentCommand, code: str, retryable: bool) -> PaymentFailed:
    return PaymentFailed(order_id=command.order_id, payment_key=command.payment_key, code=code, retryable=retryable)


class Sandbox:
    """Runs beside the refund service's loop. Answers are acknowledged by the broker before commands are."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool) -> None:
        self._settings, self._pool = settings, pool
        self._publisher = KafkaPublisher(connection(settings), "sandbox", settings.topic_prefix)

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._serve()
                except Exception as error:
                    # Whatever it was, nothing was acknowledged: the same commands come again and get the same answers.
                    log.warning("sandbox starts over: %s: %s", type(error).__name__, error)
                    await asyncio.sleep(RESTART_SECONDS)
        finally:
            await self._publisher.stop()

    async def _serve(self) -> None:
        # Every process reads every partition: waiting for a group to agree after a crash would hold money up, and an
        # answer given twice is one answer.
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=f"{self._settings.topic_prefix}refund-sandbox",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        topic = self._settings.topic_prefix + PayBack.topic
        consumer.assign([TopicPartition(topic, shard) for shard in range(self._settings.partitions)])
        try:
            await consumer.start()
            while True:
                await self._answer_some(consumer)
        finally:
            await consumer.stop()

    async def _answer_some(self, consumer: Any) -> None:
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_MAX)
        if not fetched:
            return
        commands = [
            (record, command) for records in fetched.values() for record in records if (command := _command(record))
        ]
        answers = await self._answers([command for _, command in commands])
        said = [_answered(record, given) for (record, _), given in zip(commands, answers, strict=True)]
        for (topic, partition), refused in (await self._publisher.send(said)).items():
            raise Outage(f"{topic}/{partition}: {refused.reason}")
        await consumer.commit({place: records[-1].offset + 1 for place, records in fetched.items()})

    async def _answers(self, commands: Sequence[PaymentCommand]) -> list[PaymentReply]:
        """In order, and remembered before anybody hears of them."""
        keys = {command.payment_key for command in commands}
        known = {key: Paid(*paid) for key, *paid in await self._pool.fetch(PAID, list(keys))}
        new: dict[str, Paid] = {}
        answers = []
        for command in commands:
            key = command.payment_key
            given = answer(known.get(key) or new.get(key), command)
            if not isinstance(given, PaymentFailed) and key not in known:
                new[key] = paid_by(given)
            answers.append(given)
        if new:
            await self._pool.execute(PAY, *zip(*((key, *paid) for key, paid in new.items()), strict=True))
        return answers


def _command(record: ConsumerRecord) -> PaymentCommand | None:
    """None for what is no payment command; the refund service alone writes here."""
    model = COMMANDS.get(codec.header(record.headers, "ce_type") or "")
    if model is None or not record.value:
        return None
    try:
        return model.read(record.value)
    except ValidationError:
        log.error("sandbox cannot read %s/%s/%s", record.topic, record.partition, record.offset)
        return None


def _answered(record: ConsumerRecord, given: PaymentReply) -> StoredEvent:
    """The answer to a command as it goes out: on the command's own partition; same command, same id."""
    command_id = codec.header(record.headers, "ce_id") or ""
    return StoredEvent(
        shard=record.partition,
        position=record.offset,
        sequence=record.offset,
        topic=given.topic,
        partition=record.partition,
        key=record.key,
        stream_id=given.order_id,
        type=given.type,
        time=record.timestamp,
        id=blake2b(f"sandbox|{given.order_id}|{command_id}".encode(), digest_size=16).hexdigest(),
        causation_id=command_id,
        correlation_id=codec.header(record.headers, "ce_correlationid") or command_id,
        traceparent=codec.header(record.headers, "traceparent"),
        data=given.model_dump_json().encode(),
    )
