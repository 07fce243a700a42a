"""The case file for people: HTML at `/cases`, `/orders` and so on, made on the server of what the desk gives.

Whoever wants JSON of one of these addresses (`Accept: application/json`) is sent to the same address under `/v1`. Every
page can be read and acted on without a script.
"""
