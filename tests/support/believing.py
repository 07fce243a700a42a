"""Policies for tests that run too few services for a capture to be confirmed, or are about something else than when it
is: the presets as they are, but that the platform is believed (R61) and nobody is reminded (R68)."""

from pathlib import Path

from deploy.stories.scaled import published
from schemas.policy import Policy
from shared.rules import policies

BELIEVING = "believing-"
"""And the preset's name."""


def believing(preset: str) -> Policy:
    newest = policies.load().newest(preset)
    assert newest is not None
    changes = {"name": BELIEVING + preset, "version": 1, "capture": "trusted", "reminders": False}
    return newest[1].model_copy(update=changes)


def folder_of(folder: Path) -> dict[str, str]:
    """Puts them there; returns the environment of a service that looks there."""
    folder.mkdir(exist_ok=True)
    for preset in ("aliexpress", "demo"):
        file, content = published(believing(preset))
        (folder / file).write_bytes(content)
    return {"RECOURSE_POLICIES_FOLDER": str(folder)}
