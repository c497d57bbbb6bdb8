-- Accounts: second factors, sessions, codes on their way, and doors that are shut for a while.

-- The secret is encrypted under secrets.key; a code of a step that was used is not taken again.
ALTER TABLE account ADD COLUMN totp BYTES;
ALTER TABLE account ADD COLUMN totp_step INT NOT NULL DEFAULT 0;
-- SHA-256 of the recovery code, until it is used.
ALTER TABLE account ADD COLUMN recovery BYTES;
ALTER TABLE account ADD COLUMN password_changed_at INT;

-- One member's email is one account's everywhere; hosts ask for it over all organisations.
CREATE INDEX member_email_key ON member (email_key) WHERE email_key IS NOT NULL;

-- Sessions of people (`web`) and tokens of the embedded app (`sdk`), by SHA-256 of what the other
-- side holds. A device is known by a cookie of its own.
CREATE TABLE session (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  token BYTES NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  account_id INT,
  member_id INT,
  api_key_id INT,
  device BYTES,
  user_agent TEXT NOT NULL,
  address TEXT,
  created_at INT NOT NULL,
  seen_at INT NOT NULL,
  expires_at INT NOT NULL,
  ended_at INT
);
CREATE INDEX session_account ON session (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX session_expires ON session (expires_at);

-- Which memberships were chosen in a session: each choice is one entry.
CREATE TABLE session_choice (
  session_id INT NOT NULL,
  member_id INT NOT NULL,
  PRIMARY KEY (session_id, member_id)
);

-- Codes and links on their way: hashes only. `username_key` finds them for the command line.
CREATE TABLE challenge (
  id ID,
  uuid TEXT NOT NULL UNIQUE,
  token BYTES NOT NULL UNIQUE,
  purpose TEXT NOT NULL,
  account_id INT,
  username_key TEXT,
  channel TEXT NOT NULL,
  code BYTES,
  tries INT NOT NULL DEFAULT 0,
  payload TEXT NOT NULL,
  created_at INT NOT NULL,
  expires_at INT NOT NULL
);
CREATE INDEX challenge_account ON challenge (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX challenge_username ON challenge (username_key) WHERE username_key IS NOT NULL;
CREATE INDEX challenge_expires ON challenge (expires_at);

-- Failed sign-ins by SHA-256 of the user name typed, whether or not there is such an account.
CREATE TABLE sign_in_failure (
  name BYTES NOT NULL PRIMARY KEY,
  failures INT NOT NULL,
  locked_until INT NOT NULL,
  at INT NOT NULL
);
CREATE INDEX sign_in_failure_at ON sign_in_failure (at);
