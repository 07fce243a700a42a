"""A stand-in for the platform's payment service: reads `payments.commands`, writes `payments.events`, and misbehaves
when the id of who is to pay or be paid asks for it (see `script.py`)."""
