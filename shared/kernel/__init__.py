"""What a service is, without any I/O: deciders, their streams, CloudEvents, and the ports through which a loop sees the
world. Imports pydantic and nothing of the floors above."""
