"""`make schemas`: brings schemas/published, schemas/golden and schemas/asyncapi.json up to the message definitions.

`make release` promises what they say now for ever.
"""

import argparse
from importlib import import_module
from pathlib import Path

from schemas import asyncapi
from schemas.publish import Broken, publish, release
from schemas.topics import SERVICES
from schemas.wire import AnyMessage, Message


def models() -> list[AnyMessage]:
    """Every message of the system, private ones too, by type."""
    for service in SERVICES:
        import_module(f"services.{service}.domain")
    ours = (model for model in Message.MODELS.values() if not model.__module__.startswith("tests."))
    return sorted(ours, key=lambda model: model.type)


def heard() -> dict[str, set[str]]:
    """The types of the events of others that each service reads."""
    deciders = {service: import_module(f"services.{service}.domain").DECIDER for service in SERVICES}
    return {service: {model.type for model in decider.hears} for service, decider in deciders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make schemas", description=__doc__)
    parser.add_argument("--release", action="store_true", help="promise what is published now")
    releases = parser.parse_args().release
    written = [*publish(models()), asyncapi.write(asyncapi.document(models(), heard()))]
    if releases:
        try:
            written += release(models())
        except Broken as broken:
            raise SystemExit(
                f"The last release promised otherwise; give the message a new version.\n{broken}"
            ) from None
    for path in written:
        print(path.relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
