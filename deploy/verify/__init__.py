"""The verifier: reads what a running system has written and proves its promises on it, or names what breaks them.

It asks no service anything. It reads every topic up to where it ends at that moment, then the refund service's ledger
and the timer service's pending alarms, and judges order by order. What may still be under way (a command that was given
a moment ago, an answer beyond the end that was read) is counted as in flight and is no violation.
"""
