"""Why somebody gets no answer at the desk: each kind has one HTTP status, and a sentence for people.

TurnedAway
├── NotSignedIn 401  nobody knows who asks
├── Hidden      404  there is no such thing, or it is not his: nobody can tell which
├── NotAllowed  403  his role may not do this, with anybody's order
├── Wrong       422  what he asks cannot be read; `field` says where
└── Unavailable 503  later: Behind, Busy, Away
"""


class TurnedAway(Exception):
    """`title` and status are of the kind, the sentence is of the case."""

    status = 400
    title = "Not answered"

    def __init__(self, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.field = sentence, field


class NotSignedIn(TurnedAway):
    """There is no token, or none that is good for anything."""

    status = 401
    title = "Not signed in"


class Hidden(TurnedAway):
    """Always in the same words, whatever it is."""

    status = 404
    title = "Not found"

    def __init__(self) -> None:
        super().__init__("There is nothing of this name that you may see.")


class NotAllowed(TurnedAway):
    """Of the role, not of the order: it tells nothing of any."""

    status = 403
    title = "Not allowed"


class Wrong(TurnedAway):
    """Whoever asked can put it right."""

    status = 422
    title = "Not understood"


class Unavailable(TurnedAway):
    """Nothing is wrong with the question; `retry_after_seconds`: then it may be answered."""

    status = 503
    title = "Not now"
    retry_after_seconds = 5


class Behind(Unavailable):
    """What is known is too old to be shown as what is."""


class Busy(Unavailable):
    """As many questions are being worked on as may be."""

    retry_after_seconds = 1


class Away(Unavailable):
    """A server behind us does not answer."""
