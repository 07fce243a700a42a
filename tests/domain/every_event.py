"""Every event there is: who may see it in the order's history (§10, R38, C9), and who is told of it (R49)."""

# b(uyer), s(eller), m(ediator), o(perator). The samples of refusals answer what this column says.
SEEN = """
                                  eyes
order.placed.v1                   bsmo
order.paid.v1                     bsmo
order.cancelled.v1                bsmo
order.lines_cancelled.v1          bsmo
order.refunded.v1                 bsmo
order.processing_extended.v1      bsmo
order.reminded.v1                 smo
order.shipped.v1                  bsmo
order.tracking_corrected.v1       bsmo
order.tracking_reported.v1        bsmo
order.extension_requested.v1      bsmo
order.protection_extended.v1      bsmo
order.protection_shortened.v1     bsmo
order.protection_ending.v1        bsmo
order.receipt_confirmed.v1        bsmo
order.lines_frozen.v1             bsmo
order.freeze_refused.v1           bsmo
order.lines_unfrozen.v1           bsmo
order.lines_released.v1           bsmo
order.settled.v1                  bsmo
order.completed.v1                bsmo
order.rejected.v1                 so
order.repeated.v1                 so
order.resumed.v1                  o
dispute.requested.v1              bsmo
dispute.opened.v1                 bsmo
dispute.open_refused.v1           bsmo
dispute.modified.v1               bsmo
dispute.evidence_added.v1         bsmo
dispute.message_sent.v1           bsmo
dispute.offer_made.v1             bsmo
dispute.offer_accepted.v1         bsmo
dispute.escalated.v1              bsmo
dispute.return_awaited.v1         bsmo
dispute.return_shipped.v1         bsmo
dispute.return_tracking_corrected.v1 bsmo
dispute.return_reported.v1        bsmo
dispute.return_received.v1        bsmo
dispute.return_contested.v1       bsmo
dispute.replacement_awaited.v1    bsmo
dispute.replacement_shipped.v1    bsmo
dispute.decided.v1                bsmo
dispute.appealed.v1               bsmo
dispute.appeal_waived.v1          bsmo
dispute.cancelled.v1              bsmo
dispute.closed.v1                 bsmo
dispute.reminded.v1               smo
dispute.rejected.v1               bo
dispute.repeated.v1               bo
dispute.resumed.v1                o
mediation.opened.v1               bsmo
mediation.assigned.v1             bsmo
mediation.question_asked.v1       bsmo
mediation.reminded.v1             bmo
mediation.answered.v1             bsmo
mediation.answer_missed.v1        bsmo
mediation.offer_made.v1           bsmo
mediation.offer_accepted.v1       bsmo
mediation.offer_declined.v1       bmo
mediation.decided.v1              bsmo
mediation.defaulted.v1            bsmo
mediation.cancelled.v1            bsmo
mediation.overdue.v1              bsmo
mediation.mediator_registered.v1  o
mediation.mediator_retired.v1     o
mediation.rejected.v1             bo
mediation.repeated.v1             bo
mediation.resumed.v1              o
refund.captured.v1                bsmo
refund.requested.v1               bsmo
refund.submitted.v1               bsmo
refund.failed.v1                  bsmo
refund.overdue.v1                 bsmo
refund.review_needed.v1           bsmo
refund.reversed.v1                bsmo
refund.moved_in_part.v1           bsmo
refund.moved_too_much.v1          bsmo
refund.excess_returned.v1         bsmo
refund.acknowledged.v1            bsmo
refund.held.v1                    bsmo
refund.unheld.v1                  bsmo
refund.settled.v1                 bsmo
refund.paid_out.v1                bsmo
refund.charged_back.v1            bsmo
refund.rejected.v1                o
refund.repeated.v1                o
refund.resumed.v1                 o
notification.sent.v1              bso
notification.failed.v1            bo
notification.resent.v1            o
notification.rejected.v1          o
notification.repeated.v1          o
notification.resumed.v1           o
timer.scheduled.v1                o
timer.elapsed.v1                  o
timer.cancelled.v1                o
timer.rejected.v1                 o
timer.resumed.v1                  o
payment.settled.v1                o
payment.failed.v1                 o
payment.reversed.v1               o
payment.captured.v1               o
"""

WHO_HEARS_WHAT = """
                                            buyer   seller  mediator
order.placed                                yes     yes     -
order.placed[unpaid]                        yes     yes     -
order.paid                                  yes     yes     -
order.cancelled[not_paid]                   yes     yes     -
order.cancelled[buyer]                      yes     yes     -
order.cancelled[not_shipped]                yes     yes     -
order.cancelled[seller]                     yes     yes     -
order.cancelled[operator]                   yes     yes     -
order.lines_cancelled[seller]               yes     yes     -
order.lines_cancelled[operator]             yes     yes     -
order.lines_cancelled[not_shipped]          yes     yes     -
order.refunded[seller]                      yes     yes     -
order.refunded[operator]                    yes     yes     -
order.processing_extended                   yes     -       -
order.processing_extended[rest]             yes     -       -
order.reminded                              -       yes     -
order.reminded[rest]                        -       yes     -
order.shipped                               yes     yes     -
order.shipped[part]                         yes     yes     -
order.shipped[last]                         yes     yes     -
order.tracking_corrected                    yes     -       -
order.tracking_corrected[one_of_two]        yes     -       -
order.tracking_reported[delivered_of_two]   yes     yes     -
order.tracking_reported[failed_of_two]      yes     yes     -
order.tracking_reported[delivered]          yes     yes     -
order.tracking_reported[failed]             yes     yes     -
order.tracking_reported[in_transit]         -       -       -
order.tracking_reported[completed]          -       -       -
order.tracking_reported[shortens]           -       -       -
order.extension_requested                   -       yes     -
order.protection_extended                   yes     yes     -
order.protection_shortened                  yes     yes     -
order.protection_ending[held]               yes     yes     -
order.protection_ending[disputed]           yes     yes     -
order.receipt_confirmed                     yes     yes     -
order.receipt_confirmed[part]               yes     yes     -
order.lines_frozen                          -       -       -
order.freeze_refused                        -       -       -
order.lines_unfrozen                        -       -       -
order.lines_released[protection_ended]      yes     yes     -
order.lines_released[receipt_confirmed]     -       -       -
order.lines_released[dispute_cancelled]     -       -       -
order.lines_released[arbitration_cancelled] -       -       -
order.settled                               -       -       -
order.completed[paid]                       yes     yes     -
order.completed[disputable]                 yes     yes     -
order.completed[refunded]                   yes     yes     -
dispute.requested                           -       -       -
dispute.opened[by_hand]                     yes     yes     -
dispute.opened[never_by_hand]               yes     yes     -
dispute.open_refused                        yes     -       -
dispute.modified[reason]                    -       yes     -
dispute.modified[terms]                     -       -       -
dispute.modified[reason+terms]              -       yes     -
dispute.evidence_added[buyer]               -       yes     -
dispute.evidence_added[seller]              yes     -       -
dispute.message_sent[buyer]                 -       yes     -
dispute.message_sent[seller]                yes     -       -
dispute.offer_made[buyer]                   yes     yes     -
dispute.offer_made[seller]                  yes     yes     -
dispute.offer_made[nothing]                 yes     yes     -
dispute.offer_made[replacement]             yes     yes     -
dispute.offer_accepted                      -       -       -
dispute.escalated[rejected]                 yes     yes     -
dispute.escalated[window]                   yes     yes     -
dispute.escalated[no_agreement]             yes     yes     -
dispute.escalated[seller_silent]            yes     yes     -
dispute.escalated[return_contested]         yes     yes     -
dispute.escalated[return_not_delivered]     yes     yes     -
dispute.escalated[replacement_failed]       yes     yes     -
dispute.return_awaited[agreed]              yes     yes     -
dispute.return_awaited[silent]              yes     yes     -
dispute.return_awaited[decided]             yes     yes     -
dispute.return_shipped                      yes     yes     -
dispute.return_tracking_corrected           -       yes     -
dispute.return_reported[delivered]          yes     yes     -
dispute.return_reported[returned]           yes     yes     -
dispute.return_reported[failed]             yes     yes     -
dispute.return_reported[in_transit]         -       -       -
dispute.return_received                     -       -       -
dispute.return_contested                    yes     -       -
dispute.replacement_awaited[agreed]         yes     yes     -
dispute.replacement_awaited[silent]         yes     yes     -
dispute.replacement_shipped                 yes     yes     -
dispute.decided[appealable]                 yes     yes     -
dispute.decided[return]                     yes     yes     -
dispute.decided[final]                      yes     yes     -
dispute.decided[buyer_silent]               yes     yes     -
dispute.decided[seller_silent]              yes     yes     -
dispute.decided[mediation_max]              yes     yes     -
dispute.appealed[buyer]                     yes     yes     -
dispute.appealed[seller]                    yes     yes     -
dispute.appeal_waived                       yes     yes     -
dispute.cancelled[reopenable]               yes     yes     -
dispute.cancelled[final]                    yes     yes     -
dispute.closed[offer_accepted]              yes     yes     -
dispute.closed[seller_silent]               yes     yes     -
dispute.closed[decided]                     yes     yes     -
dispute.closed[buyer_silent]                yes     yes     -
dispute.closed[cancelled]                   -       -       -
dispute.closed[arbitration_cancelled]       yes     yes     -
dispute.closed[return_not_shipped]          yes     yes     -
dispute.closed[replaced]                    yes     yes     -
dispute.reminded[granted]                   -       yes     -
dispute.reminded[escalated]                 -       yes     -
dispute.reminded[goods_back]                -       yes     -
dispute.reminded[new_parcel]                -       yes     -
dispute.reminded[return_ship]               yes     -       -
dispute.reminded[return_confirm]            -       yes     -
dispute.reminded[replacement_ship]          -       yes     -
dispute.reminded[replacement_confirm]       yes     -       -
dispute.reminded[buyer_appeals]             yes     -       -
dispute.reminded[seller_appeals]            -       yes     -
dispute.reminded[return_decided]            yes     -       -
mediation.opened                            -       -       -
mediation.assigned                          -       -       yes
mediation.assigned[waiting]                 -       -       yes
mediation.question_asked[buyer]             yes     yes     -
mediation.question_asked[seller]            yes     yes     -
mediation.question_asked[both]              yes     yes     -
mediation.reminded[buyer]                   yes     -       -
mediation.reminded[cancelled]               yes     -       -
mediation.reminded[seller]                  -       yes     -
mediation.reminded[on_record]               -       yes     -
mediation.answered[last]                    yes     yes     yes
mediation.answered[another_awaited]         yes     yes     yes
mediation.answer_missed                     yes     yes     yes
mediation.offer_made                        yes     yes     yes
mediation.offer_accepted                    -       -       yes
mediation.offer_declined                    yes     -       yes
mediation.decided                           yes     yes     -
mediation.decided[return]                   yes     yes     -
mediation.defaulted[silence]                -       -       yes
mediation.defaulted[mediation_max]          -       -       yes
mediation.cancelled                         -       -       yes
mediation.overdue                           -       -       yes
mediation.overdue[nobody]                   -       -       -
mediation.mediator_registered               -       -       -
mediation.mediator_retired                  -       -       -
refund.captured                             -       -       -
refund.requested                            -       -       -
refund.submitted                            -       -       -
refund.settled                              yes     -       -
refund.paid_out                             -       yes     -
refund.settled[by_hand]                     yes     -       -
refund.paid_out[by_hand]                    -       yes     -
refund.charged_back[by_hand]                -       yes     -
refund.charged_back                         -       yes     -
refund.failed                               -       -       -
refund.overdue[refund]                      yes     -       -
refund.overdue[payout]                      -       yes     -
refund.overdue[chargeback]                  -       -       -
refund.review_needed                        -       -       -
refund.reversed[refund]                     yes     -       -
refund.reversed[payout]                     -       yes     -
refund.reversed[chargeback]                 -       -       -
refund.moved_in_part[refund]                yes     -       -
refund.moved_in_part[payout]                -       yes     -
refund.moved_in_part[chargeback]            -       yes     -
refund.moved_too_much[refund]               yes     -       -
refund.moved_too_much[payout]               -       yes     -
refund.moved_too_much[chargeback]           -       yes     -
refund.excess_returned                      -       -       -
refund.acknowledged                         -       -       -
refund.held[operator]                       yes     yes     -
refund.held[bank_chargeback]                yes     yes     -
refund.unheld                               yes     yes     -
"""
# Nobody's mail, for the letter about what follows in the same moment says it:
#   order.lines_frozen -> dispute.opened, order.freeze_refused -> dispute.open_refused, dispute.requested -> either,
#   order.lines_unfrozen, dispute.closed[cancelled] -> dispute.cancelled, order.settled -> dispute.closed,
#   dispute.offer_accepted -> dispute.closed, return_awaited or replacement_awaited, dispute.return_received ->
#   dispute.closed, order.tracking_reported[shortens] -> order.protection_shortened, dispute.modified[terms] ->
#   dispute.offer_made, mediation.opened -> dispute.escalated or appealed.
# The operators' own: refund.failed, review_needed, acknowledged, a late chargeback, the roster.
