"""`make verify`: proves on what a running system has written that no penny is lost, doubled or stranded.

It reads topics, ledger and pending alarms, changes nothing, and ends with 0 if every promise holds, with 1 if one is
violated, with 2 if it cannot tell.

Where RECOURSE_KAFKA_BOOTSTRAP_SERVERS is set, the environment says where the system is, as it does for the services;
RECOURSE_VERIFY_REFUND_URL and RECOURSE_VERIFY_TIMER_URL name the two databases, RECOURSE_VERIFY_GRACE_SECONDS how long
something may be on its way. Elsewhere it is the stack of `make run`, or of `make up`.
"""

import argparse
import asyncio
import logging
import os
import sys
from datetime import UTC, datetime

from deploy.verify.collect import CannotVerify, VerifySettings, verify

CANNOT_TELL = 2


def _settings(stack: str) -> VerifySettings:
    if "RECOURSE_KAFKA_BOOTSTRAP_SERVERS" in os.environ:
        return VerifySettings()
    from deploy.verify import addresses  # only here: a production image has no embedded stack

    return addresses.composed() if stack == "compose" else addresses.kept()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stacks = ("embedded", "compose")
    parser.add_argument("--stack", choices=stacks, default="embedded", help="what `make run` or what `make up` started")
    stack = parser.parse_args().stack
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its clients retry, and say so at length
    try:
        report = asyncio.run(verify(_settings(stack)))
    except CannotVerify as reason:
        print(f"Cannot verify: {reason}.", file=sys.stderr)
        print(
            "Start a system (make run, or make up and STACK=compose), or say in RECOURSE_… where it is.",
            file=sys.stderr,
        )
        raise SystemExit(CANNOT_TELL) from None
    except KeyboardInterrupt:
        raise SystemExit(CANNOT_TELL) from None
    for line in report.lines(datetime.now(UTC)):
        print(line)
    print(f"\n{report.line()}")
    raise SystemExit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
