"""Kafka's administration by librdkafka: aiokafka's knows neither ACLs nor SCRAM credentials."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.setup.job import SetUpFailed, until_there

K = TypeVar("K")
ATTEMPT_SECONDS = 2


class _Silent(Exception):
    """No answer, and why not."""


async def connect(options: Mapping[str, str], seconds: float) -> AdminClient:
    """A client of the brokers that `options`, in librdkafka's names, say, once they answer."""
    reasons: list[KafkaError] = []
    # Every attempt to connect is a line of its log; the last reason is enough.
    settings: dict[str, Any] = {**options, "log_level": 0, "error_cb": reasons.append}
    try:
        admin = AdminClient(settings)
    except KafkaException as error:
        raise SetUpFailed(f"Kafka's options are wrong: {said(error)}") from None

    async def ask() -> None:
        try:
            # By plain metadata: where an administrator's question is answered after its time, librdkafka may abort.
            await asyncio.to_thread(admin.list_topics, timeout=ATTEMPT_SECONDS)
        except KafkaException as error:
            admin.poll(0)  # hands over the reasons
            told = [reason for reason in reasons if reason.code() != KafkaError._ALL_BROKERS_DOWN]
            raise _Silent(told[-1].str() if told else said(error)) from error

    await until_there(f"Kafka at {options['bootstrap.servers']}", ask, (_Silent,), seconds)
    return admin


async def answers(futures: Mapping[K, "Future[Any]"], unless: int = KafkaError.NO_ERROR) -> dict[K, Any]:
    """What was answered of each thing, without those whose answer is the error `unless`; any other error ends the
    job."""
    found = await asyncio.gather(*map(asyncio.wrap_future, futures.values()), return_exceptions=True)
    good = {}
    for thing, answer in zip(futures, found, strict=True):
        match answer:
            case KafkaException() if answer.args[0].code() == unless:
                continue
            case KafkaException():
                raise SetUpFailed(f"Kafka, {thing}: {said(answer)}") from answer
            case BaseException():
                raise answer
        good[thing] = answer
    return good


def said(error: KafkaException) -> str:
    reason: KafkaError = error.args[0]
    return reason.str()
