"""Where the stacks of one's own machine are: the one `make run` keeps, and the one `make up` has brought up."""

import os

from deploy.local.run import default_folder
from deploy.verify.collect import CannotVerify, VerifySettings


def kept() -> VerifySettings:
    folder = default_folder()
    try:
        kafka = (folder / "kafka" / "port").read_text().strip()
        postgres = (folder / "postgres" / "port").read_text().strip()
        password = (folder / "postgres" / "password").read_text()
    except OSError:
        raise CannotVerify(f"there is no stack in {folder}") from None
    return VerifySettings(
        kafka_bootstrap_servers=f"127.0.0.1:{kafka}",
        database_url=f"postgresql://postgres:{password}@127.0.0.1:{postgres}/postgres",
    )


def composed() -> VerifySettings:
    password = os.environ.get("RECOURSE_DATABASE_PASSWORD", "recourse")
    server = f"localhost:{os.environ.get('POSTGRES_PORT', '5432')}"
    return VerifySettings(
        kafka_bootstrap_servers=f"localhost:{os.environ.get('KAFKA_PORT', '9092')}",
        verify_refund_url=f"postgresql://recourse_refund:{password}@{server}/recourse_refund",
        verify_timer_url=f"postgresql://recourse_timer:{password}@{server}/recourse_timer",
    )
