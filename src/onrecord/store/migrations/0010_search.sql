-- Searching messages, and what reviewers of level 1 and 2 took out.

-- The index of words is a reader of the record: up to which position it holds each organisation's
-- messages, and by which version of model/words.py. Another version than ours is thrown away.
CREATE TABLE search_progress (
  entity_id INT NOT NULL PRIMARY KEY,
  indexed_to INT NOT NULL,
  version INT NOT NULL
);

-- In blocks of 4,096 positions of the record: where in the block a word is said, two bytes for each
-- message (store/search.py). The newest block is looked into first, and what is added to the index
-- is added in one place.
CREATE TABLE search_word (
  entity_id INT NOT NULL,
  block INT NOT NULL,
  word TEXT NOT NULL,
  places BYTES NOT NULL,
  PRIMARY KEY (entity_id, block, word)
) COMPACT;

-- Of each position of a block the chat that its message is in, eight bytes; 0 for what is none.
CREATE TABLE search_block (
  entity_id INT NOT NULL,
  block INT NOT NULL,
  chats BYTES NOT NULL,
  PRIMARY KEY (entity_id, block)
) COMPACT;

-- Exports of reviewers whose number is limited; what lies too far back to count goes.
CREATE TABLE reviewer_export (
  entity_id INT NOT NULL,
  member_id INT NOT NULL,
  at INT NOT NULL
);
CREATE INDEX reviewer_export_member ON reviewer_export (member_id, at);

-- Chats of an organisation in the order they were made, for reviewers.
CREATE INDEX chat_entity ON chat (entity_id, id);
