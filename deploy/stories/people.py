"""What becomes of people themselves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from deploy.stories.claims import before_a_mediator, decision, disputed, stands
from deploy.stories.dialogue import PlayedOrder, Scene, StoryFailed, story
from deploy.stories.seen import Seen


@story(26, "Forgotten")
async def forgotten(s: Scene) -> None:
    """The buyer leaves the platform in mid-dispute: his order ends as it must, and he hears no more of it by mail."""
    case = await replace(s, by_people=True).disputable_order(radio=80_00)
    await disputed(case, 80_00)
    mediator = await before_a_mediator(case)
    await case.buyer.is_reached_at(None)
    await mediator.says("mediation.decide", **decision(50_00, "The speaker alone is torn.", rule="shared-risk"))
    await stands(case)
    await case.ends(buyer=50_00, seller=30_00)
    await not_written_to(case, "order.completed")
    if any(case.buyer.address in str(event.data) for event in case.seen):
        raise StoryFailed(f"{case.order_id}: the buyer is forgotten, and his address is told")


async def not_written_to(case: PlayedOrder, template: str) -> None:
    """Of this he is told by no letter: it is given up, or, where there is no mail server, said on the topic alone."""

    def told() -> list[dict[str, Any]]:
        about = [event for event in case.seen if event.data.get("template") == template]
        return [whom for event in about for whom in _named(event) if whom["role"] == "buyer"]

    if not await case.stage.until(lambda: bool(told()), case, timedelta()):
        raise StoryFailed(f"{case.order_id}: nothing says what became of {template}")
    if any(whom.get("channel") == "email" for whom in told()):
        raise StoryFailed(f"{case.order_id}: who is forgotten was written to of {template}")


def _named(event: Seen) -> list[dict[str, Any]]:
    """Who was told, and by which channel; or who was given up."""
    return event.data["recipients"] if event.type == "notification.sent" else [event.data["recipient"]]
