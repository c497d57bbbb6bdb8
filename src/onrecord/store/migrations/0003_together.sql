-- What belongs to a chat lies together, and a text that is sent changes as few pages as it can.

-- The texts of a chat, in the order of the record: a window of messages is read in one place of
-- the file, however big it is. Of all other parts, which are only read with their entry, chat_id
-- is 0: each page that belongs to a chat alone is one more page for each chat that is written to.
CREATE TABLE part_together (
  entity_id INT NOT NULL,
  chat_id INT NOT NULL,
  position INT NOT NULL,
  name TEXT NOT NULL,
  salt BYTES NOT NULL,
  data BYTES NOT NULL,
  PRIMARY KEY (entity_id, chat_id, position, name)
) COMPACT;
INSERT INTO part_together (entity_id, chat_id, position, name, salt, data)
  SELECT p.entity_id, CASE WHEN p.name = 'text' THEN COALESCE(e.chat_id, 0) ELSE 0 END,
    p.position, p.name, p.salt, p.data
  FROM part p JOIN entry e ON e.entity_id = p.entity_id AND e.position = p.position
  ORDER BY 1, 2, 3, 4;
DROP TABLE part;
ALTER TABLE part_together RENAME TO part;

-- The entries of a chat are found by its messages, which stand in the same order. The index holds
-- only those that are no message, and every 64th message tells at which position it stands.
ALTER TABLE entry ADD COLUMN seq INT;
CREATE INDEX message_place ON message (chat_id, position);
UPDATE entry SET seq = (SELECT m.seq FROM message m
  WHERE m.chat_id = entry.chat_id AND m.position = entry.position) WHERE chat_id IS NOT NULL;
DROP INDEX message_place;
DROP INDEX entry_chat;
CREATE INDEX entry_chat ON entry (chat_id, position) WHERE chat_id IS NOT NULL AND seq IS NULL;
CREATE INDEX message_mark ON message (chat_id, position, seq) WHERE seq % 64 = 0;

-- A chat's participants lie together as well.
CREATE TABLE participant_together (
  chat_id INT NOT NULL,
  member_id INT NOT NULL,
  state TEXT NOT NULL,
  since_position INT NOT NULL,
  until_position INT,
  until_seq INT,
  until_title TEXT,
  until_title_key TEXT,
  read_seq INT NOT NULL DEFAULT -1,
  archived INT NOT NULL DEFAULT 0,
  muted INT NOT NULL DEFAULT 0,
  PRIMARY KEY (chat_id, member_id)
) COMPACT;
INSERT INTO participant_together (chat_id, member_id, state, since_position, until_position,
    until_seq, until_title, until_title_key, read_seq, archived, muted)
  SELECT chat_id, member_id, state, since_position, until_position, until_seq, until_title,
    until_title_key, read_seq, archived, muted FROM participant ORDER BY 1, 2;
DROP TABLE participant;
ALTER TABLE participant_together RENAME TO participant;
CREATE INDEX participant_member ON participant (member_id, chat_id);
CREATE INDEX participant_archived ON participant (chat_id) WHERE archived = 1;

-- Chats as they end now. On SQLite the row of a chat tells where it ended when last something
-- happened that is no message, or its first message was sent; each message since has moved seq and
-- index by one, and the last of them tells the rest. On PostgreSQL, where every work locks the rows
-- of its chats anyway, they are always up to date.
CREATE VIEW chat_now AS SELECT c.id, c.uuid, c.entity_id, c.title, c.title_key, c.state,
    c.is_staff_only, c.butler_member_id, c.created_by_id, c.created_at, c.barred,
    COALESCE(z.seq, c.last_seq) AS last_seq,
    COALESCE(z.at, c.last_at) AS last_at,
    COALESCE(z.seq - c.last_seq, 0) + c.last_index AS last_index,
    CASE WHEN z.position > c.last_position THEN z.position ELSE c.last_position
      END AS last_position
  FROM chat c LEFT JOIN message z
    ON z.chat_id = c.id AND z.seq = (SELECT MAX(m.seq) FROM message m WHERE m.chat_id = c.id);
