"""The conversation with the platform's payment service. `payment_key` = `<settlement_id>/<leg>` is the idempotency
key of a movement for ever: an uncertain answer is resolved by asking for that key, never by a new one (N7). What had
moved and came back is moved anew under `<settlement_id>/<leg>~2` (R62).

An answer names its question: its `ce_causationid` is the `ce_id` of the call. A failure counts only for the call it
names."""
