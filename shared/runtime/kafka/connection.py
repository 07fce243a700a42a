"""How Kafka is reached: who we are, whom we trust, and what its client raises."""

import ssl
from typing import Any

from aiokafka.errors import KafkaError
from faststream.kafka.security import parse_security
from faststream.security import SASLScram512

from shared.runtime.settings import Settings

CLIENT_ERRORS = (KafkaError, OSError, TimeoutError)


def security(settings: Settings) -> SASLScram512 | None:
    """Who we are for the broker, and whom we take for it."""
    if settings.kafka_username is None or settings.kafka_password is None:
        return None
    trusted = ssl.create_default_context(cafile=settings.kafka_ca_file)
    return SASLScram512(settings.kafka_username, settings.kafka_password.get_secret_value(), ssl_context=trusted)


def connection(settings: Settings) -> dict[str, Any]:
    """The options of aiokafka by which its clients find the broker."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security(settings))}
