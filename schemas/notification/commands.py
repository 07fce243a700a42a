"""What may be asked of it."""

from schemas.example import OPERATOR, fields
from schemas.wire import Resume


class NotificationResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `notification.resumed`, when
    everything that waited has been handled."""

    type = "notification.resume.v1"
    topic = "notification.commands"
    example = fields(actor=OPERATOR)
