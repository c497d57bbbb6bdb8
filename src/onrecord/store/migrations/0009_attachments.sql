-- Files that people send. Their bytes lie in the storage of files, under
-- <entity_uuid>/<uuid>. What a message says of its files is the part `file` of its entry.
CREATE TABLE attachment (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  -- For which chat it was uploaded; NULL: for the Butler, who may send it into many.
  chat_id INT,
  member_id INT NOT NULL,
  api_key_id INT,
  filename TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size INT NOT NULL,
  sha256 TEXT NOT NULL,
  crc32 INT NOT NULL,
  preview_type TEXT,
  preview_digest TEXT,
  created_at INT NOT NULL,
  -- Until when it waits to be sent; NULL: it was sent.
  waits_until INT
);
CREATE INDEX attachment_waiting ON attachment (waits_until) WHERE waits_until IS NOT NULL;
CREATE INDEX attachment_waits_for ON attachment (member_id) WHERE waits_until IS NOT NULL;

-- In which messages it stands, and as the how manyth of the message.
CREATE TABLE attachment_use (
  entity_id INT NOT NULL,
  position INT NOT NULL,
  place INT NOT NULL,
  attachment_id INT NOT NULL,
  chat_id INT NOT NULL,
  seq INT NOT NULL,
  PRIMARY KEY (entity_id, position, place)
) COMPACT;
CREATE INDEX attachment_use_where ON attachment_use (attachment_id, chat_id, seq);

-- Names in the storage of files that belong to nothing: noted before anything is stored there, and
-- forgotten in the work that makes it belong to something. What is left of it was cut short.
CREATE TABLE loose_file (
  name TEXT NOT NULL PRIMARY KEY,
  since INT NOT NULL,
  -- 1: it is being deleted, and can belong to nothing any more.
  doomed INT NOT NULL
);
CREATE INDEX loose_file_since ON loose_file (since);

-- Links that fetch one file once, without a key or session; only the hash of each is known.
CREATE TABLE download_link (
  token_hash BYTES NOT NULL PRIMARY KEY,
  attachment_id INT NOT NULL,
  member_id INT NOT NULL,
  expires_at INT NOT NULL
);
CREATE INDEX download_link_expiry ON download_link (expires_at);
