"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Label

_LEGS = "`refund`: to the buyer; `payout`: to the seller; `chargeback`: from his balance into escrow"
RequestedLeg = Annotated[
    Literal["refund", "payout", "chargeback", "capture"],
    Field(description=f"{_LEGS}; `capture`: the buyer's payment, which the payment service is asked about (R61)"),
]
ReviewedLeg = Annotated[
    Literal["refund", "payout", "chargeback", "capture", "unasked"],
    Field(
        description=f"{_LEGS}; `capture`: the buyer's payment itself; `unasked`: none of these, the provider speaks of "
        "what nobody asked for (R62)"
    ),
]
ProviderReference = Annotated[Label, Field(description="the payment service's own name of the movement")]

Stage = Literal["requested", "processing", "submitted", "settled", "failed", "retrying", "manual_review", "on_hold"]
"""Where a leg stands (R52). `submitted`: the provider was called for the first time; `processing`: it gave no answer
and is asked what became of the movement; `failed`: it will be called again at `retry_at`; `retrying`: it was;
`on_hold`: it is not sent until an operator lets it (R63)."""

ReviewReason = Literal[
    "final_failure",
    "attempts_used_up",
    "no_answer",
    "mismatch",
    "settled_again",
    "reversed",
    "failed_after_settlement",
    "wrong_reference",
    "unasked",
    "bank_chargeback",
    "moved_too_much",
]
"""Why a person must look (N7, R62). After `no_answer` and `mismatch` nobody knows whether the money moved."""

ReversalCause = Literal["payout_returned", "refund_returned", "bank_chargeback", "failed"]
"""Why money that was paid came back; `failed`: the provider said so after it had said that it was paid."""
