"""`make lint-policies`: every policy file as a service reads it, and what is wrong with it."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from shared.kernel.policies import Policies
from shared.rules.policies import PUBLISHED, BrokenPolicy, gaps, read


def main() -> None:
    parser = argparse.ArgumentParser(prog="make lint-policies", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PUBLISHED, help="where the files are")
    files = sorted(parser.parse_args().folder.glob("*.yaml"))
    broken, good = 0, []
    for path in files:
        try:
            good.append(read(path.name, path.read_bytes()))
        except BrokenPolicy as refusal:
            broken += 1
            print(refusal, file=sys.stderr)
        else:
            print(f"{path.name}: good")
    for gap in gaps(Policies(dict(good)), datetime.now(UTC).date()):
        print(gap, file=sys.stderr)
    if broken or not files:
        raise SystemExit(f"{broken} of {len(files)} policies cannot be published.")


if __name__ == "__main__":
    main()
