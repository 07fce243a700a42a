-- People's own webhooks (R74), as `people` says of each. What waits for one of them says which, so that no more than one
-- at a time is taken for each; the column follows from what is stored and is empty for all else.
ALTER TABLE person ADD COLUMN webhooks json NOT NULL DEFAULT '[]';
ALTER TABLE delivery ADD COLUMN endpoint text GENERATED ALWAYS AS (
    coalesce((letter -> 'recipient' ->> 'id') || '/' || (letter ->> 'endpoint_id'), '')
) STORED;
