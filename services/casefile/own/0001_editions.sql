-- What is the case file's own and follows from no topic: which edition of its tables is shown.

CREATE TABLE edition (
    number    integer PRIMARY KEY,   -- its tables are in the schema casefile_<number>
    made_at   timestamptz NOT NULL DEFAULT now(),
    is_shown  boolean NOT NULL
);
CREATE UNIQUE INDEX edition_shown ON edition (is_shown) WHERE is_shown;
