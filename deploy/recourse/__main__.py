"""`recourse case list`, `recourse order show ID`, … : the case file from a terminal, as tables or with `--json`.

It finds `make run` by itself; elsewhere RECOURSE_CASEFILE_URL and RECOURSE_CASEFILE_TOKEN say where and who."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

import deploy.recourse
from deploy.recourse.asking import Client, found
from schemas.visibility import Viewer


def parser() -> argparse.ArgumentParser:
    """Of all groups that there are."""
    asked = argparse.ArgumentParser(prog="recourse", description=__doc__)
    asked.add_argument("--json", action="store_true", help="what the case file answers, for programs")
    asked.add_argument("--role", default="operator", choices=get_args(Viewer), help="as whom, where `make run` runs")
    asked.add_argument("--me", metavar="ID", help="which person of that role, where `make run` runs")
    groups = asked.add_subparsers(required=True, metavar="group")
    for module in iter_modules(deploy.recourse.__path__):
        if module.name != "__main__" and hasattr(group := import_module(f"deploy.recourse.{module.name}"), "add"):
            group.add(groups)
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    """Raises SystemExit, in a sentence, where there is no answer."""
    asked = parser().parse_args(arguments)
    client = Client(*found(asked.role, asked.me))
    try:
        asked.run(client, asked)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has enough
    finally:
        client.close()


if __name__ == "__main__":
    main()
