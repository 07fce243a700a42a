"""`make schemas`: brings schemas/published, schemas/golden, schemas/acts.json and schemas/asyncapi.json up to the
message definitions, schemas/openapi.json up to what the case file answers, and the manifest up to the policy files.

`make release` promises what they say now for ever.
"""

import argparse
import hashlib
from pathlib import Path

from schemas import acts, asyncapi
from schemas.acts import Row
from schemas.publish import Broken, as_text, publish, release
from schemas.wire import AnyMessage, Message
from services.casefile import routes
from services.casefile.front import http as web
from services.composition import DECIDERS
from shared.rules import policies

MANIFEST = policies.PUBLISHED / "published.sha256"
"""Every policy file ever published, a line each, as `sha256sum --check` reads it. Lines are only ever added."""


def models() -> list[AnyMessage]:
    """Every message of the system, private ones too, by type."""
    ours = (model for model in Message.MODELS.values() if not model.__module__.startswith("tests."))
    return sorted(ours, key=lambda model: model.type)


def subscriptions() -> dict[str, set[str]]:
    """The types of what others write that each service reads."""
    heard = {service: (*decider.subscriptions, *decider.entries) for service, decider in DECIDERS.items()}
    return {service: {model.type for model in models} for service, models in heard.items()}


def rows() -> list[Row]:
    """Of every command that a service takes in its inbox, by type."""
    found = [
        acts.row(command, decider.rejected, decider.repeated, decider.resumed)
        for decider in DECIDERS.values()
        for command in decider.inbox
    ]
    return sorted(found, key=lambda one: str(one["type"]))


def manifest() -> dict[str, str]:
    """sha256 of every policy file ever published, by the file's name."""
    lines = MANIFEST.read_text("utf-8").splitlines() if MANIFEST.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def register() -> list[Path]:
    """Adds the policy files that the manifest does not hold; returns it, if there were any."""
    known = manifest()
    new = [path for path in sorted(policies.PUBLISHED.glob("*.yaml")) if path.name not in known]
    with MANIFEST.open("a", encoding="utf-8") as lines:
        lines.writelines(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in new)
    return [MANIFEST] if new else []


def openapi() -> Path:
    """Writes what is asked of the case file, and what it answers."""
    web.DOCUMENT.write_text(as_text(web.document(routes.described())), "utf-8")
    return web.DOCUMENT


def main() -> None:
    parser = argparse.ArgumentParser(prog="make schemas", description=__doc__)
    parser.add_argument("--release", action="store_true", help="promise what is published now")
    releases = parser.parse_args().release
    contract = asyncapi.document(models(), subscriptions(), rows())
    written = [*publish(models()), acts.write(rows()), asyncapi.write(contract), openapi(), *register()]
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
