"""`python -m deploy.setup`: makes what the services need and is missing, and says what differs from its declaration.

Topics always. A database for each service where RECOURSE_SETUP_DATABASE_ADMIN_URL names a server and who may make them.
Access rights and credentials where RECOURSE_SETUP_PASSWORDS names a folder of password files, for a broker that asks
who is there. What differs is left as it is. Exit 0: services can start. Exit 1: they would refuse, or the job failed.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence

from pydantic import ValidationError

from deploy.setup import access, broker, databases, topics
from deploy.setup.job import Drift, Kind, SetUpFailed, read_password
from deploy.setup.settings import SetupSettings
from schemas.topics import all_topics


async def run(settings: SetupSettings, wait_seconds: float, *, check: bool, prune_access: bool) -> bool:
    """Whether services can start; of a check, whether all is as declared."""
    declared = all_topics(settings.topic_prefix, settings.partitions)
    folder, admin_url = settings.setup_passwords, settings.setup_database_admin_url
    # Read before anything is made: a missing file ends the job at its beginning.
    kafka_passwords = {who: read_password(folder / f"{who}.password") for who in access.PRINCIPALS} if folder else {}
    database_passwords = settings.database_passwords() if admin_url else {}
    counted: Counter[Kind] = Counter()

    def say(findings: Sequence[Drift]) -> None:
        counted.update(finding.kind for finding in findings)
        for finding in findings:
            print(finding.text, flush=True)

    admin = await broker.connect(settings.kafka_options(), wait_seconds)
    say(await topics.set_up(admin, declared, settings.setup_replication_factor, check=check))
    if folder:
        say(await access.set_up(admin, declared, settings.topic_prefix, check=check, prune=prune_access))
        say(await access.set_passwords(admin, kafka_passwords, check=check))
    else:
        print("access: not looked at, RECOURSE_SETUP_PASSWORDS is not set")
    if admin_url:
        url, prefix = admin_url.get_secret_value(), settings.setup_database_prefix
        say(await databases.set_up(url, database_passwords, prefix, wait_seconds, check=check))
    else:
        print("databases: not looked at, RECOURSE_SETUP_DATABASE_ADMIN_URL is not set")

    differ = counted[Kind.DRIFT] + counted[Kind.FATAL]
    print(
        f"{'Checked' if check else 'Set up'}: {counted[Kind.AS_DECLARED]} as declared, {counted[Kind.DONE]} made now, "
        f"{differ} different and left so"
    )
    return not (differ if check else counted[Kind.FATAL])


if __name__ == "__main__":
    # As the first process of a container it would not hear SIGTERM otherwise. There is nothing to tidy: what is done is
    # done, and the next run does the rest.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(
        prog="python -m deploy.setup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if anything is not as declared")
    parser.add_argument(
        "--prune-access", action="store_true", help="take back what is granted on our topics and groups undeclared"
    )
    parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for servers to answer (default 60)")
    chosen = parser.parse_args()
    try:
        work = run(SetupSettings(), chosen.wait, check=chosen.check, prune_access=chosen.prune_access)
        sys.exit(not asyncio.run(work))
    except ValidationError as error:
        sys.exit(f"The environment is wrong. {error}")
    except SetUpFailed as error:
        sys.exit(f"Set-up failed. {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
