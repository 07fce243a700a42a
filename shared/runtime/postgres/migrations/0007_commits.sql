-- What is obeyed in silence moves no position: rows that were put back to before it are known by how often was committed.
ALTER TABLE shard ADD COLUMN commits bigint NOT NULL DEFAULT 0;
