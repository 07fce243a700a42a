"""Which columns of the decision tables are which command: every command has one, in which every cell is filled."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "dispute.modify.v1": ("modify", "new_terms"),
    "dispute.add_evidence.v1": ("evidence",),
    "dispute.send_message.v1": ("message",),
    "dispute.offer.v1": ("offer", "buyer_offers"),
    "dispute.accept_offer.v1": ("buyer_accepts", "seller_accepts"),
    "dispute.report_return.v1": ("report",),
    "dispute.confirm_return.v1": ("confirm",),
    "dispute.contest_return.v1": ("contest",),
    "dispute.ship_replacement.v1": ("ship_anew",),
    "dispute.confirm_replacement.v1": ("confirm_anew",),
    "dispute.waive_appeal.v1": ("waive",),
    "mediation.register_mediator.v1": ("register_m1", "register_m2"),
    "mediation.retire_mediator.v1": ("retire_m1",),
    "mediation.assign.v1": ("hand_m2",),
    "mediation.ask.v1": ("ask_q2",),
    "mediation.answer.v1": ("answer_b", "answer_s"),
    "mediation.accept_offer.v1": ("accept_1", "accept_2", "accept_3"),
    "mediation.decline_offer.v1": ("decline_3",),
}
"""Of those that are not called as the command is."""


def columns_of(type_: str) -> tuple[str, ...]:
    """Of `order.place.v1`: `place`."""
    return COLUMNS.get(type_, (type_.split(".")[1],))
