"""Every message of the contract: who imports this has them all, by their wire type, in `Message.MODELS`."""

import schemas.dispute.commands
import schemas.dispute.events
import schemas.mediation.commands
import schemas.mediation.events
import schemas.notification.commands
import schemas.notification.events
import schemas.order.commands
import schemas.order.events
import schemas.payments.commands
import schemas.payments.events
import schemas.people
import schemas.refund.commands
import schemas.refund.events
import schemas.timer.commands
import schemas.timer.events  # noqa: F401
from schemas.wire import AnyMessage, Message

CONTRACT: dict[str, AnyMessage] = {
    name: model for name, model in Message.MODELS.items() if model.__module__.startswith("schemas.")
}
