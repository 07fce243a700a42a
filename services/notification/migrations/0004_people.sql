-- How people are reached by now (R74): what `people` says, a row a person. Each is written by the shard of his id and read by
-- all, when a letter is sent. Who was erased has a row that says nothing but that: what was given at placing is not used then.
CREATE TABLE person (
    person_id text PRIMARY KEY,
    email     text,
    locale    text,
    time_zone text
);
