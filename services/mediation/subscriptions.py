"""What the mediation service listens to: disputes that come to it, and what is filed with them meanwhile; and what its
cases and the roster tell each other."""

from typing import get_args

from schemas.dispute.events import DisputeAppealed, DisputeEscalated, EvidenceAdded
from schemas.mediation.commands import AssignMediator, Seat

Foreign = DisputeEscalated | DisputeAppealed | EvidenceAdded
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)

Told = Seat | AssignMediator
BETWEEN_STREAMS: tuple[tuple[str, type[Told]], ...] = tuple(("mediation.roster", model) for model in get_args(Told))
