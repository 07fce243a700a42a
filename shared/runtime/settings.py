"""What the environment says, under the prefix RECOURSE_."""

from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict, SettingsError

from schemas.topics import PARTITIONS
from shared.rules import policies

PREFIX = "RECOURSE_"
SECRETS = Path("/run/secrets")
"""Where container engines put secrets: a file `recourse_kafka_password` says what that variable would."""


class Settings(BaseSettings):
    """Read once at start, each from its variable or from its file in SECRETS; a service adds its own by subclassing."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,  # it may be a password
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
    )

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_username: str | None = None
    """With it: SASL, SCRAM-SHA-512, over TLS. Without it: neither."""
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    """Of who signed the brokers' certificates, PEM; without it those whom the machine trusts."""
    database_url: str = Field(default="postgresql://localhost/recourse", repr=False)
    topic_prefix: str = ""
    policies_folder: Path = policies.PUBLISHED
    """Where there are more than the presets. Looked at again every second: a new version is published by moving its
    file there."""
    partitions: int = Field(default=PARTITIONS, ge=1)
    batch_records_max: int = Field(default=500, ge=1)
    acts_max: int = Field(default=10_000, ge=1)
    """So many commands of one role are obeyed in one order by one service; more are refused (`limit_exceeded`)."""
    lease_seconds: float = Field(default=3.0, gt=0)
    """A member that was not seen for so long is given up; a killed one is noticed at once."""
    look_seconds: float = Field(default=1.0, gt=0)
    """Members look so often who else is there, and whenever one says that something has changed."""
    topics_look_seconds: float = Field(default=60.0, gt=0)
    """Whether the topics are still what a service counts on is looked at so often."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65_535)
    """Of /alive, /health, /metrics and /asyncapi; 0: any free port. Which it is, is said in the log (`listening`)."""
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.kafka_username is None) != (self.kafka_password is None):
            raise ValueError("RECOURSE_KAFKA_USERNAME and RECOURSE_KAFKA_PASSWORD go together")
        return self


S = TypeVar("S", bound=Settings)


def read(kind: type[S], service: str) -> S:
    """What is said for this service alone, such as RECOURSE_ORDER_HTTP_PORT, wins over what is said for all.

    Raises SystemExit, with the service's name and a sentence for each of them, where settings make no sense.
    """
    prefix = f"{PREFIX}{service.upper()}_"
    try:
        own = SecretsSettingsSource(kind, env_prefix=prefix)() | EnvSettingsSource(kind, env_prefix=prefix)()
        return kind(**own)
    except SettingsError as error:
        raise SystemExit(f"{service}: {error}") from None
    except ValidationError as error:
        told = (f"{_variable(one['loc'])}{one['msg']}" for one in error.errors(include_url=False, include_input=False))
        raise SystemExit("\n".join(f"{service}: {sentence}" for sentence in told)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{str(location[0]).upper()}: " if location else ""
