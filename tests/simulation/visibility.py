"""What people were shown, by the projection of the history (schemas/visibility.py) and by letter (D2)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from schemas.visibility import Viewer, may_see, view
from schemas.wire import Event, Message, Rejected
from shared.kernel.codec import header

if TYPE_CHECKING:
    from tests.simulation.play import Played

NEVER_FOR_SELLERS = "mediation.offer_declined.v1"


def unseen(played: "Played") -> Iterator[str]:
    """Looks only at what holds an address, a refusal, or names who may see it: all else is for everybody."""
    for letter in played.world.mails:
        if not letter.email.startswith(
            ("mara@", "noel@", "otto@") if letter.recipient.role == "mediator" else letter.recipient.role
        ):
            yield f"the letter of {letter.event_type} to the {letter.recipient.role} goes to {letter.email}"
        if letter.recipient.role == "seller" and letter.event_type == NEVER_FOR_SELLERS:
            yield "the seller has a letter about his declined solution"
        if "@" in str(letter.facts):
            yield f"a letter about {letter.event_type} tells an address"
    for (topic, _), log in played.world.bus.logs.items():
        if not topic.endswith(".events") or topic == "payments.events":
            continue
        for record in log:
            value = record.value or b""
            type_ = header(record.headers, "ce_type") or ""
            if b"@" in value or b'"visible_to"' in value or type_.endswith(".rejected.v1"):
                model = Message.MODELS[type_]
                event = model.read(value)
                assert isinstance(event, Event)
                yield from _shown_wrongly(event)


def _shown_wrongly(event: Event) -> Iterator[str]:
    for viewer in get_args(Viewer):
        if viewer == "operator" or not may_see(event, viewer):
            continue
        text = str(view(event, viewer).data)
        addresses = [f"{other}-o" for other in ("buyer", "seller") if other != viewer]
        if any(f"'{one}" in text and f"{one}1@" in text for one in addresses) or "mara@" in text:
            yield f"the {viewer} sees an address in {event.type}"
        if viewer == "seller" and event.type == NEVER_FOR_SELLERS:
            yield "the seller sees that his solution was declined"
        if isinstance(event, Rejected) and event.actor is not None and event.actor.role != viewer:
            yield f"the {viewer} sees a refusal that was the {event.actor.role}'s"
