"""The embedded stack: Kafka, PostgreSQL, a mailbox and the services as child processes of one program."""
