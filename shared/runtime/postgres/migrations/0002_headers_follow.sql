-- The headers of what we write ourselves follow from its columns and are not stored any more: only a dead letter keeps
-- those that it came with. Of old rows the columns are read out of their headers (JSON pairs, every byte a character).
ALTER TABLE event ADD COLUMN id text;
ALTER TABLE event ADD COLUMN causation_id text;
ALTER TABLE event ADD COLUMN correlation_id text;
ALTER TABLE event ADD COLUMN traceparent text;
ALTER TABLE event ALTER COLUMN headers DROP NOT NULL;

UPDATE event SET headers = NULL, (id, causation_id, correlation_id, traceparent) = (
    SELECT
        max(value) FILTER (WHERE name = 'ce_id'),
        max(value) FILTER (WHERE name = 'ce_causationid'),
        max(value) FILTER (WHERE name = 'ce_correlationid'),
        max(value) FILTER (WHERE name = 'traceparent')
    FROM (
        SELECT pair ->> 0 AS name, convert_from(convert_to(pair ->> 1, 'LATIN1'), 'UTF8') AS value
        FROM jsonb_array_elements(convert_from(headers, 'UTF8')::jsonb) AS pair
    ) AS header
)
WHERE type <> 'dead-letter';
