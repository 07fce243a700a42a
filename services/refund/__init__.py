"""Moves the money that was settled, through the payment provider, and keeps the ledger (R22, R52, R53, N7)."""
