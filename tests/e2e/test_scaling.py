"""Containers come and go on purpose, as when somebody scales the system or brings out a new version."""

from schemas.topics import SERVICES
from tests.e2e.containers import PARTS
from tests.e2e.trial import Trial

KILLED_BY_ENGINE = 137
"""The exit code of who did not end in time."""


async def test_containers_join_and_leave_under_load(trial: Trial) -> None:
    stack = trial.stack
    joining = ("order#2", "order#3", "dispute#2", "dispute#3")
    async with trial.flowing():
        await stack.start_services(joining)
        for service in ("order", "dispute"):
            await stack.until_shared(service, service, f"{service}#2", f"{service}#3")
        for name in joining:
            await stack.dismiss(name)
            trial.faults["scaled up and down"] += 1
        for service in ("order", "dispute"):
            await stack.until_shared(service, service)

    await trial.assert_nothing_was_lost()


async def test_every_service_is_restarted_in_turn_and_no_command_is_refused(trial: Trial) -> None:
    async with trial.flowing():
        for name in PARTS:
            part = trial.stack.services[name]
            assert await part.stop() != KILLED_BY_ENGINE, f"{name} did not heed SIGTERM"
            trial.faults["restarted"] += 1
            await part.start()
    for service in SERVICES:
        await trial.stack.until_shared(service, service)

    await trial.assert_nothing_was_lost()
