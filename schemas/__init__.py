"""The public contract: every message on the bus, the topics it travels on, and the policies. Imports pydantic only."""
