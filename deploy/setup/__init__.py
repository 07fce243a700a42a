"""The set-up job: topics, access and databases as they are declared, what is missing made and nothing else touched."""
