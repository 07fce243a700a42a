"""How Kafka is reached: who we are, whom we trust, and what its client raises."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka.errors import KafkaError
from faststream.kafka.security import parse_security
from faststream.security import SASLScram512

from shared.kernel.ports import Outage
from shared.runtime.settings import Settings

CLIENT_ERRORS = (KafkaError, OSError, TimeoutError)


@contextmanager
def outage() -> Iterator[None]:
    """Whatever the broker answers with, its answer is not known: an Outage."""
    try:
        yield
    except CLIENT_ERRORS as error:
        raise Outage(f"kafka: {type(error).__name__}: {error}") from error


def security(settings: Settings) -> SASLScram512 | None:
    """Who we are for the broker, and whom we take for it."""
    if settings.kafka_username is None or settings.kafka_password is None:
        return None
    trusted = ssl.create_default_context(cafile=settings.kafka_ca_file)
    return SASLScram512(settings.kafka_username, settings.kafka_password.get_secret_value(), ssl_context=trusted)


def connection(settings: Settings) -> dict[str, Any]:
    """The options of aiokafka by which its clients find the broker."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security(settings))}
