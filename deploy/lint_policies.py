"""`make lint-policies`: every policy file as a service reads it, and what is wrong with it."""

import argparse
import sys
from pathlib import Path

from shared.rules.policies import PUBLISHED, BrokenPolicy, read


def main() -> None:
    parser = argparse.ArgumentParser(prog="make lint-policies", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PUBLISHED, help="where the files are")
    files = sorted(parser.parse_args().folder.glob("*.yaml"))
    broken = 0
    for path in files:
        try:
            read(path.name, path.read_bytes())
        except BrokenPolicy as refusal:
            broken += 1
            print(refusal, file=sys.stderr)
        else:
            print(f"{path.name}: good")
    if broken or not files:
        raise SystemExit(f"{broken} of {len(files)} policies cannot be published.")


if __name__ == "__main__":
    main()
