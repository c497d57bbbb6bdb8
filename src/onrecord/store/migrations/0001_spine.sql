-- One text for both engines. INT, TEXT and BYTES stand for the engine's own types; a primary key
-- `id ID` is given by the database (never used for positions: those come from the head row).
-- All times are microseconds since 1970; yes and no are 1 and 0; lists are JSON text.

CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- Organisations. The installation itself is number 1.
CREATE TABLE entity (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  settings TEXT NOT NULL,
  origin TEXT NOT NULL,
  created_at INT NOT NULL
);

-- The end of each organisation's record: the last row a work locks, held for one commit.
CREATE TABLE head (
  entity_id INT NOT NULL PRIMARY KEY,
  position INT NOT NULL,
  at INT NOT NULL,
  access_position INT NOT NULL,
  hashes BYTES NOT NULL
);

CREATE TABLE entry (
  entity_id INT NOT NULL,
  position INT NOT NULL,
  chat_id INT,
  subject_id INT,
  leaf BYTES NOT NULL,
  PRIMARY KEY (entity_id, position)
);
CREATE INDEX entry_chat ON entry (chat_id, position) WHERE chat_id IS NOT NULL;
CREATE INDEX entry_subject ON entry (subject_id, position) WHERE subject_id IS NOT NULL;

-- Salt and bytes of each erasable part, alone in its row.
CREATE TABLE part (
  entity_id INT NOT NULL,
  position INT NOT NULL,
  name TEXT NOT NULL,
  salt BYTES NOT NULL,
  data BYTES NOT NULL,
  PRIMARY KEY (entity_id, position, name)
) COMPACT;

-- Tiles of 256 hashes of the tree over an organisation's entries.
CREATE TABLE tile (
  entity_id INT NOT NULL,
  level INT NOT NULL,
  idx INT NOT NULL,
  hashes BYTES NOT NULL,
  PRIMARY KEY (entity_id, level, idx)
);

CREATE TABLE checkpoint (
  entity_id INT NOT NULL,
  size INT NOT NULL,
  note TEXT NOT NULL,
  at INT NOT NULL,
  PRIMARY KEY (entity_id, size)
);

CREATE TABLE seal (
  entity_id INT NOT NULL,
  options TEXT NOT NULL,
  note TEXT NOT NULL,
  at INT NOT NULL,
  PRIMARY KEY (entity_id, options)
);

CREATE TABLE account (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  email TEXT,
  phone_number TEXT,
  created_at INT NOT NULL
);

CREATE TABLE member (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  account_id INT,
  identifier TEXT,
  profile INT NOT NULL,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  job_title TEXT NOT NULL,
  primary_email TEXT,
  email_key TEXT,
  primary_phone_number TEXT,
  emails TEXT NOT NULL,
  phone_numbers TEXT NOT NULL,
  state TEXT NOT NULL,
  data_reviewer_level INT NOT NULL DEFAULT 0,
  has_avatar INT NOT NULL DEFAULT 0,
  invitation TEXT,
  created_by_id INT,
  created_at INT NOT NULL,
  updated_at INT NOT NULL
);
CREATE UNIQUE INDEX member_identifier ON member (entity_id, identifier);
CREATE UNIQUE INDEX member_email ON member (entity_id, email_key);
CREATE INDEX member_account ON member (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX member_profile ON member (entity_id, profile, state);

CREATE TABLE client_group (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  name TEXT NOT NULL,
  identifier TEXT,
  description TEXT NOT NULL,
  state TEXT NOT NULL,
  is_default INT NOT NULL,
  created_at INT NOT NULL,
  updated_at INT NOT NULL
);
CREATE UNIQUE INDEX client_group_identifier ON client_group (entity_id, identifier);
CREATE UNIQUE INDEX client_group_default ON client_group (entity_id) WHERE is_default = 1;

CREATE TABLE group_member (
  group_id INT NOT NULL,
  member_id INT NOT NULL,
  PRIMARY KEY (group_id, member_id)
);
CREATE INDEX group_member_member ON group_member (member_id, group_id);

CREATE TABLE api_key (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  api_key TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  secret_hash BYTES NOT NULL,
  old_secret_hash BYTES,
  old_secret_until INT,
  permissions TEXT NOT NULL,
  cidr_blocks TEXT NOT NULL,
  state TEXT NOT NULL,
  member_id INT,
  expires_at INT,
  rate_limit TEXT,
  last_used_at INT,
  created_at INT NOT NULL
);
CREATE INDEX api_key_entity ON api_key (entity_id, id);

CREATE TABLE chat (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  title TEXT NOT NULL,
  title_key TEXT NOT NULL,
  state TEXT NOT NULL,
  is_staff_only INT NOT NULL,
  butler_member_id INT UNIQUE,
  created_by_id INT,
  created_at INT NOT NULL,
  last_seq INT NOT NULL DEFAULT -1,
  last_at INT NOT NULL DEFAULT 0,
  last_index INT NOT NULL DEFAULT 0,
  last_position INT NOT NULL DEFAULT 0
);

-- Archive, mute and read state are personal views and no part of the record.
CREATE TABLE participant (
  chat_id INT NOT NULL,
  member_id INT NOT NULL,
  state TEXT NOT NULL,
  since_position INT NOT NULL,
  until_position INT,
  until_seq INT,
  read_seq INT NOT NULL DEFAULT -1,
  archived INT NOT NULL DEFAULT 0,
  muted INT NOT NULL DEFAULT 0,
  PRIMARY KEY (chat_id, member_id)
);
CREATE INDEX participant_member ON participant (member_id, chat_id);
CREATE INDEX participant_archived ON participant (chat_id) WHERE archived = 1;

-- Where each message stands in the record; its text is the part `text` of that entry.
CREATE TABLE message (
  chat_id INT NOT NULL,
  seq INT NOT NULL,
  position INT NOT NULL,
  kind TEXT NOT NULL,
  member_id INT,
  at INT NOT NULL,
  reply_to_seq INT,
  via TEXT NOT NULL,
  api_key_id INT,
  PRIMARY KEY (chat_id, seq)
) COMPACT;

CREATE TABLE idempotency (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  request BYTES NOT NULL,
  answer BYTES NOT NULL,
  withheld INT NOT NULL,
  until INT NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_until ON idempotency (until);

-- The installation is an organisation of the record too, always number 1; its origin is set at
-- the first start, before its first entry.
INSERT INTO entity (uuid, name, state, settings, origin, created_at)
VALUES ('00000000-0000-0000-0000-000000000000', 'Installation', 'active', '{}', '', 0);
INSERT INTO head (entity_id, position, at, access_position, hashes)
SELECT id, 0, 0, 0, EMPTY FROM entity;
