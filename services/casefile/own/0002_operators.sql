-- What operators did by the case file, and what they noted. It follows from no topic and is only ever added to.

CREATE TABLE audit (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    operator text NOT NULL,
    what     text NOT NULL,            -- redrive, dismiss, resume, reassign, …
    why      text NOT NULL,            -- in his own words
    order_id text,
    about    json NOT NULL
);
CREATE INDEX audit_order ON audit (order_id, number) WHERE order_id IS NOT NULL;

-- For operators and mediators alone.
CREATE TABLE note (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    order_id   text NOT NULL,
    dispute_id text NOT NULL,
    role       text NOT NULL,
    person     text NOT NULL,
    text       text NOT NULL
);
CREATE INDEX note_case ON note (order_id, dispute_id, number);

-- Dead letters that somebody has dealt with, by where they lie.
CREATE TABLE dealt_with (
    topic     text NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    how       text NOT NULL CHECK (how IN ('redriven', 'dismissed')),
    audit     bigint NOT NULL REFERENCES audit,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset")
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it is only ever added to: no % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON note
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
