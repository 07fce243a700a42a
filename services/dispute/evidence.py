"""What the parties show and say to each other (R24, R58)."""

from collections.abc import Sequence

from schemas.common import Evidence
from schemas.dispute.commands import AddEvidence
from schemas.dispute.events import EvidenceAdded
from schemas.dispute.shapes import Side
from schemas.policy import Policy
from services.dispute.case import (
    FiledInStage,
    InMediation,
    Opened,
    stage,
)
from shared.kernel.decider import Output, Refusal
from shared.rules.evidence import too_many_files


def too_much(filed: Sequence[FiledInStage], by: Side, stage: str, evidence: Sequence[Evidence]) -> Refusal | None:
    shown = sum(one.by == by and one.stage == stage for one in filed)
    return too_many_files(shown, evidence)


def add(dispute: Opened, command: AddEvidence, by: Side, policy: Policy) -> list[Output]:
    """In mediation nobody asked here for it: the mediator's questions are answered there."""
    unsolicited = isinstance(dispute, InMediation)
    if unsolicited and policy.unsolicited_evidence == "refuse":
        return [Refusal("wrong_state", "In mediation evidence is shown only when the mediator asks for it.")]
    if refusal := too_much(dispute.case.filed, by, stage(dispute), command.evidence):
        return [refusal]
    return [
        EvidenceAdded(
            dispute_id=command.dispute_id,
            by=by,
            evidence=command.evidence,
            unsolicited=unsolicited,
        )
    ]
