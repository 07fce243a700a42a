"""What its messages are made of."""

from typing import Literal

Stage = Literal["requested", "processing", "submitted", "settled", "failed", "retrying", "manual_review"]
"""Where a leg stands (R52). `submitted`: the provider was called for the first time; `processing`: it gave no answer
and is asked what became of the movement; `failed`: it will be called again at `retry_at`; `retrying`: it was."""

ReviewReason = Literal["final_failure", "attempts_used_up", "no_answer", "mismatch", "settled_again"]
"""Why a person must look (N7). After `no_answer` and `mismatch` nobody knows whether the money moved."""
