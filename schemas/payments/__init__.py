"""The conversation with the platform's payment service. `payment_key` = `<settlement_id>/<leg>` is the idempotency
key of a movement for ever: an uncertain answer is resolved by asking for that key, never by a new one (N7)."""
