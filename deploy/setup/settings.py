"""What the set-up job is told by its environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from deploy.setup.job import SetUpFailed, read_password
from deploy.setup.topics import BROKERS_DEFAULT
from schemas.topics import PROCESSES
from shared.runtime.settings import Settings


class SetupSettings(Settings):
    """What services are told, too, and what the job alone must know; the Kafka user is the administrator."""

    kafka_mechanism: Literal["SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    """By which the administrator proves who he is; PLAIN where the broker's own configuration knows him."""
    setup_replication_factor: int = Field(default=BROKERS_DEFAULT, ge=-1)
    """Of topics that are created; -1: what the broker does by default."""
    setup_passwords: Path | None = None
    """A folder: `<principal>.password` for Kafka, `<service>.database-password` for PostgreSQL."""
    setup_database_admin_url: SecretStr | None = None
    setup_database_password: SecretStr | None = None
    """The same for all services, on a machine of one's own: read where there is no folder."""
    setup_database_prefix: str = Field(default="recourse_", pattern="^[a-z_][a-z0-9_]*$")
    """How the names of roles and databases begin; the service's name follows."""

    def kafka_options(self) -> dict[str, str]:
        """In librdkafka's names."""
        options = {"bootstrap.servers": self.kafka_bootstrap_servers}
        if self.kafka_username is not None and self.kafka_password is not None:
            options |= {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": self.kafka_mechanism,
                "sasl.username": self.kafka_username,
                "sasl.password": self.kafka_password.get_secret_value(),
            }
            if self.kafka_ca_file is not None:
                options["ssl.ca.location"] = str(self.kafka_ca_file)
        return options

    def database_passwords(self) -> dict[str, str]:
        """By service."""
        if self.setup_passwords is not None:
            folder = self.setup_passwords
            return {service: read_password(folder / f"{service}.database-password") for service in PROCESSES}
        if self.setup_database_password is not None:
            return dict.fromkeys(PROCESSES, self.setup_database_password.get_secret_value())
        raise SetUpFailed(
            "RECOURSE_SETUP_DATABASE_ADMIN_URL needs RECOURSE_SETUP_PASSWORDS or RECOURSE_SETUP_DATABASE_PASSWORD: "
            "the services' roles have passwords."
        )
