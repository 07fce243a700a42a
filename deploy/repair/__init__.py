"""Puts right what a service refuses to serve: a database older than the bus, a bus that has lost what was published, a
topic that was made anew. One audited command each, on a stopped service; what the world has heard stands.
"""
