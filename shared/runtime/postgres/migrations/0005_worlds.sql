-- A topic that is deleted and made anew has its name and another id: with the id a cursor says in which of them it counts.
ALTER TABLE cursor ADD COLUMN topic_id text;  -- null: from before; the topic that is there is taken for it
