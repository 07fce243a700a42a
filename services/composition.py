"""All services, by name: the one module that knows them all."""

from collections.abc import Mapping
from typing import Any

from schemas.wire import Service
from services.dispute.domain import DECIDER as DISPUTE
from services.mediation.domain import DECIDER as MEDIATION
from services.notification.domain import DECIDER as NOTIFICATION
from services.order.domain import DECIDER as ORDER
from services.refund.domain import DECIDER as REFUND
from services.timer.domain import DECIDER as TIMER
from shared.kernel.decider import Decider

DECIDERS: Mapping[Service, Decider[Any, Any, Any]] = {
    one.service: one for one in (ORDER, DISPUTE, MEDIATION, REFUND, NOTIFICATION, TIMER)
}
