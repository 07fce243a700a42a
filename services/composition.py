"""All services, by name: the one module that knows them all; and all of them together in memory."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from schemas.notification.shapes import RecipientRole
from services.dispute.domain import DECIDER as DISPUTE
from services.mediation.domain import DECIDER as MEDIATION
from services.notification.domain import DECIDER as NOTIFICATION
from services.notification.domain import decider as notification
from services.notification.people import MemoryPeopleTable, People
from services.notification.projection import Channel, Deliveries, MemoryDeliveryTable, webhooks_about
from services.order.domain import DECIDER as ORDER
from services.refund.domain import DECIDER as REFUND
from services.refund.projection import Ledger, MemoryLedgerTable, MemoryReviewTable, ReviewQueue
from services.timer.domain import DECIDER as TIMER
from services.timer.projection import MemoryTimerTable, Timers
from shared.kernel.decider import Decider
from shared.runtime.memory import World

DECIDERS: Mapping[str, Decider[Any, Any, Any]] = {
    one.service: one for one in (ORDER, DISPUTE, MEDIATION, REFUND, NOTIFICATION, TIMER)
}


async def compose(world: World, channels: Sequence[Channel[Any]] = ()) -> None:
    """All of them, with their tables, into one world. Without a channel people are told by the topic alone."""
    for decider in (ORDER, DISPUTE, MEDIATION):
        await world.add(decider)
    await world.add(REFUND, [Ledger(MemoryLedgerTable()), ReviewQueue(MemoryReviewTable())])
    queues = {queue for channel in channels for queue in channel.queues}
    roles = [role for role in get_args(RecipientRole) if webhooks_about(role) in queues]
    told = notification(mail="email" in queues, webhooks=roles, own_webhooks="own_webhook" in queues)
    people = MemoryPeopleTable()
    deliveries = Deliveries(MemoryDeliveryTable(), people, channels, world.bus.clock)
    await world.add(told, [People(people), deliveries], [deliveries], deliveries.settled)
    timers = Timers(MemoryTimerTable())
    await world.add(TIMER, [timers], [timers])
