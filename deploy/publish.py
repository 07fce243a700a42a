"""`make schemas`: brings schemas/published, schemas/golden and schemas/asyncapi.json up to the message definitions."""

from pathlib import Path

from schemas import asyncapi
from schemas.publish import publish
from schemas.wire import AnyMessage, Message
from services.composition import DECIDERS


def models() -> list[AnyMessage]:
    """Every message of the system, private ones too, by type."""
    ours = (model for model in Message.MODELS.values() if not model.__module__.startswith("tests."))
    return sorted(ours, key=lambda model: model.type)


def heard() -> dict[str, set[str]]:
    """The types of the events of others that each service reads."""
    return {service: {model.type for model in decider.subscriptions} for service, decider in DECIDERS.items()}


if __name__ == "__main__":
    for path in [*publish(models()), asyncapi.write(asyncapi.document(models(), heard()))]:
        print(path.relative_to(Path.cwd()))
