-- What operators had put right (deploy/repair): who asked for it and why, what was found and done, and what of it a person
-- must look at.
CREATE TABLE repair (
    number  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text        NOT NULL,
    reason  text        NOT NULL,
    command text        NOT NULL,
    shard   integer     NOT NULL,
    facts   jsonb       NOT NULL,
    subject text,                        -- what a person must look at: an order, a topic; null: nothing
    looked  timestamptz                  -- somebody has
);
