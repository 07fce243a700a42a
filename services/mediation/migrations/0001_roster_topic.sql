-- Cases and the roster tell each other on a topic of their own. What an older version said in the inbox, where it is
-- nobody's word any more, and had not handled when it was stopped, is said again on that topic.
WITH unheard AS (
    SELECT said.*, row_number() OVER (PARTITION BY said.shard ORDER BY said.position) AS nth
    FROM event AS said
    WHERE said.topic = 'mediation.commands' AND NOT EXISTS (
        SELECT FROM event AS answer
        WHERE answer.shard = said.partition AND answer.order_id = convert_from(said.key, 'UTF8')
            AND answer.command_id = said.id
    )
), again AS (
    INSERT INTO event (shard, position, sequence, topic, partition, key, order_id, type, time, id, causation_id,
        correlation_id, traceparent, data)
    SELECT shard, shard.position + nth, shard.sequence + nth, 'mediation.roster', partition, key, order_id, type, time,
        id, causation_id, correlation_id, traceparent, data
    FROM unheard JOIN shard USING (shard)
    RETURNING shard
)
UPDATE shard SET epoch = epoch + 1, position = position + told.times, sequence = sequence + told.times
FROM (SELECT shard, count(*) AS times FROM again GROUP BY shard) AS told
WHERE told.shard = shard.shard;
