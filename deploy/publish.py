"""`make schemas`: brings schemas/published and schemas/golden up to the message definitions."""

from importlib import import_module
from pathlib import Path

from schemas.publish import publish
from schemas.topics import SERVICES
from schemas.wire import AnyMessage, Message


def models() -> list[AnyMessage]:
    """Every message of the system, private ones too, by type."""
    for service in SERVICES:
        import_module(f"services.{service}.domain")
    ours = (model for model in Message.MODELS.values() if not model.__module__.startswith("tests."))
    return sorted(ours, key=lambda model: model.type)


if __name__ == "__main__":
    for path in publish(models()):
        print(path.relative_to(Path.cwd()))
