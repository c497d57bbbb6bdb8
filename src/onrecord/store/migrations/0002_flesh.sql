-- Searching people and groups, barriers, participants who come back, long Butler calls.

-- The form in which names are searched (model.people.member_search_key: two lines). Rows from
-- before are filled as far as the engines can; a name with other capitals than ASCII's is found
-- again once it is edited.
ALTER TABLE member ADD COLUMN search_key TEXT NOT NULL DEFAULT '';
UPDATE member SET search_key = lower(first_name || ' ' || last_name || ' '
  || COALESCE(identifier, '') || ' ' || emails || '
' || COALESCE(primary_email, ''));
CREATE INDEX member_entity ON member (entity_id, id);

ALTER TABLE client_group ADD COLUMN search_key TEXT NOT NULL DEFAULT '';
UPDATE client_group SET search_key = lower(name || ' ' || COALESCE(identifier, ''));
CREATE INDEX client_group_entity ON client_group (entity_id, id);

-- Barriers between two groups; the smaller id stands first.
CREATE TABLE barrier (
  group_id INT NOT NULL,
  other_group_id INT NOT NULL,
  entity_id INT NOT NULL,
  created_at INT NOT NULL,
  PRIMARY KEY (group_id, other_group_id)
);
CREATE INDEX barrier_other ON barrier (other_group_id);
CREATE INDEX barrier_entity ON barrier (entity_id);

-- Whether a barrier now runs through the chat's active participants: nobody may write into it.
ALTER TABLE chat ADD COLUMN barred INT NOT NULL DEFAULT 0;
CREATE INDEX chat_barred ON chat (entity_id) WHERE barred = 1;

-- The title a former participant knows the chat by: what it is called later is news.
ALTER TABLE participant ADD COLUMN until_title TEXT;
ALTER TABLE participant ADD COLUMN until_title_key TEXT;

-- Earlier stays of participants who left and came back: their feed shows each stay.
CREATE TABLE earlier_stay (
  chat_id INT NOT NULL,
  member_id INT NOT NULL,
  since_position INT NOT NULL,
  until_position INT NOT NULL,
  PRIMARY KEY (chat_id, member_id, since_position)
);
CREATE INDEX earlier_stay_member ON earlier_stay (member_id, chat_id);

-- Entries about neither a chat nor a member: groups, barriers, keys, settings. They are few, and
-- what the organisation was like at a position is told from them and from a member's own.
CREATE INDEX entry_general ON entry (entity_id, position)
  WHERE chat_id IS NULL AND subject_id IS NULL;

-- How far a call that goes in slices has come: number 0 is the plan, then the answer of each slice.
-- They go when their time is over.
CREATE TABLE slice (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  number INT NOT NULL,
  request BYTES NOT NULL,
  answer BYTES NOT NULL,
  until INT NOT NULL,
  PRIMARY KEY (scope, key, number)
);
CREATE INDEX slice_until ON slice (until);
