"""What the environment says, under the prefix RECOURSE_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.topics import PARTITIONS
from shared import policies


class Settings(BaseSettings):
    """Read once at start; a service adds its own by subclassing."""

    model_config = SettingsConfigDict(env_prefix="RECOURSE_", extra="ignore")

    kafka_bootstrap_servers: str = "localhost:9092"
    database_url: str = Field(default="postgresql://localhost/recourse", repr=False)
    topic_prefix: str = ""
    policies_folder: Path = policies.PUBLISHED
    """Looked at again every second: a new version is published by moving its file there."""
    partitions: int = Field(default=PARTITIONS, ge=1)
    batch_records_max: int = Field(default=500, ge=1)
    lease_seconds: float = Field(default=3.0, gt=0)
    """A member that was not seen for so long is given up; a killed one is noticed at once."""
    look_seconds: float = Field(default=0.25, gt=0)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0)
    """Of /health and /asyncapi; 0: any free port, said in the log."""
    log_level: str = "INFO"
