"""The doors of the shard loop on Apache Kafka: FastStream's batch subscriber over aiokafka's consumer, and aiokafka's
idempotent producer."""
