"""How the stand-in behaves, told by what it is asked: scenarios carry their script, and any number run side by side.

The `payment_id` of a refund, the `seller_id` of a payout or a charge-back, may end in a script: a colon and steps with
dots between them, `payment-1:fail-2.answer`. Each step is for one call under that key (or `…~2`, which goes on with the
script), movement or question; `fail-2` is for two; the last one is for all calls that still come. An id that ends
otherwise is answered: plain ids are. How the capture itself is confirmed stands before it, after two colons:
`payment-1::silent-2.answer`, or with both `payment-1::late.answer:fail-2.answer`.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from schemas.payments.commands import ChargeBack, ConfirmPayment, PayBack, PaymentCommand, PayOut

Step = Literal[
    "answer", "slow", "twice", "late", "silent", "lost", "fail", "refuse", "misquote", "short", "over", "unknown",
    "returned", "recanted",
]  # fmt: skip
"""What becomes of one call:

answer    obeyed and answered: the money moves, a question is answered by what became of the movement
slow      the same, three seconds later: before the asker gives up
twice     the same, and the answer comes twice
late      obeyed, and answered only when the next call has been heard: the asker gave up and asks
silent    obeyed, never answered
lost      never arrives: neither obeyed nor answered
fail      not obeyed: the bank is down, try again
refuse    not obeyed, for good: the account is closed
misquote  obeyed, and answered with another amount than was moved
short     a third less moves than was asked for, and that is answered
over      a third more moves, and that is answered
unknown   not obeyed: this key was never heard of, even if it was
returned  obeyed and answered, and three seconds later the money comes back
recanted  the same, but it is said that the movement failed, and nothing of a return
"""

_STEP = f"(?:{'|'.join(get_args(Step))})(?:-[1-9][0-9]?)?"
_SCRIPT = re.compile(rf"(?<!:):({_STEP}(?:\.{_STEP})*)$")
_OF_CAPTURE = re.compile(rf"::({_STEP}(?:\.{_STEP})*)(?::|$)")


class Script(NamedTuple):
    steps: tuple[Step, ...]

    def step(self, call: int) -> Step:
        """Of a call under one key, counted from 0."""
        return self.steps[min(call, len(self.steps) - 1)]


PLAIN = Script(("answer",))


def script(command: PaymentCommand) -> Script:
    """A question names nobody: it is answered by the script of its movement."""
    match command:
        case ConfirmPayment(payment_id=id_):
            found = _OF_CAPTURE.search(id_)
            return Script(tuple(_steps(found[1]))) if found else PLAIN
        case PayBack(payment_id=id_) | PayOut(seller_id=id_) | ChargeBack(seller_id=id_):
            found = _SCRIPT.search(id_)
            return Script(tuple(_steps(found[1]))) if found else PLAIN
    return PLAIN


def _steps(text: str) -> Iterator[Step]:
    for word in text.split("."):
        name, _, times = word.partition("-")
        yield from [step for step in get_args(Step) if step == name] * int(times or 1)
