"""The refund service's messages (rules R52, R53, N7 of docs/RULES.md): how each movement of money gets on.

A movement is one leg of a settlement; its payment key, `<settlement_id>/<leg>`, is its name for ever.
"""
