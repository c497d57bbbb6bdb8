-- Jobs, what is posted instead of sent, invitations, terms.

-- What is to be done beside the requests. `run_at` says when it is due; of a running one, when the
-- lease of the process that runs it ends and another one may take over.
CREATE TABLE job (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  entity_id INT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  payload TEXT NOT NULL,
  unique_key TEXT,
  run_at INT NOT NULL,
  give_up_at INT NOT NULL,
  attempts INT NOT NULL DEFAULT 0,
  lease TEXT,
  done INT NOT NULL DEFAULT 0,
  total INT,
  result TEXT,
  created_at INT NOT NULL,
  finished_at INT
);
CREATE INDEX job_due ON job (run_at) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX job_unique ON job (unique_key) WHERE state IN ('queued', 'running');
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;

-- Mails and texts that are kept instead of sent.
CREATE TABLE outbox (
  id ID,
  recipient TEXT NOT NULL,
  channel TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  links TEXT NOT NULL,
  code TEXT,
  at INT NOT NULL
);

-- Members who are invited and have not joined: when the next reminder is due, and when it is over.
CREATE TABLE invitation (
  member_id INT NOT NULL PRIMARY KEY,
  entity_id INT NOT NULL,
  message TEXT NOT NULL,
  next_at INT NOT NULL,
  expires_at INT NOT NULL
);
CREATE INDEX invitation_next ON invitation (next_at);

-- Every link that was sent; `ended` says why one no longer works. Only the newest does.
CREATE TABLE invitation_link (
  token_hash BYTES NOT NULL PRIMARY KEY,
  member_id INT NOT NULL,
  message_id TEXT NOT NULL,
  recipient TEXT NOT NULL,
  made_at INT NOT NULL,
  ended TEXT
);
CREATE INDEX invitation_link_member ON invitation_link (member_id, made_at);
CREATE INDEX invitation_link_message ON invitation_link (message_id);
CREATE INDEX invitation_link_recipient ON invitation_link (recipient) WHERE ended IS NULL;

-- The terms of an organisation, the operator's under number 1; every version is kept.
CREATE TABLE terms (
  entity_id INT NOT NULL,
  version INT NOT NULL,
  text TEXT NOT NULL,
  at INT NOT NULL,
  PRIMARY KEY (entity_id, version)
);

-- Which version somebody accepted last: an account the operator's, a member the organisation's.
CREATE TABLE terms_accepted (
  entity_id INT NOT NULL,
  subject_id INT NOT NULL,
  version INT NOT NULL,
  at INT NOT NULL,
  PRIMARY KEY (entity_id, subject_id)
);
