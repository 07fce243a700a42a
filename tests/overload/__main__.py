"""`make overload`: ten times what this machine can take, for a minute (SECONDS=n); what becomes of it is measured and
proved. Memory, lag and the one number that shows back-pressure; every promise, by the verifier; and that each command
was judged by when it was appended, as if there had been no overload."""

import argparse
import asyncio
import os
import sys

from deploy.local.processes import LocalStackError
from deploy.local.stack import Stack
from tests.overload.report import lines, problems
from tests.overload.run import Outcome, Overload


async def overload(seconds: float) -> Outcome:
    async with Stack(own_servers=True) as stack:
        return await Overload(stack, lambda line: print(line, flush=True)).run(seconds, third=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it lasts")
    seconds = parser.parse_args().seconds
    print(f"Load average {os.getloadavg()[0]:.1f} at the beginning.")
    try:
        outcome = asyncio.run(overload(seconds))
    except (LocalStackError, AssertionError) as error:
        sys.exit(str(error))
    print("\n" + "\n".join(lines(outcome)))
    if wrong := problems(outcome):
        sys.exit("\n".join([f"\n{len(wrong)} problems:", *wrong[:50]]))
    print("Nothing lost, nothing doubled, nobody judged by how long he had to wait.")


if __name__ == "__main__":
    main()
