-- Imports of files. What a file says lies here until its job has done it, so that every process can
-- go on where another one stopped.

CREATE TABLE import (
  id ID,
  entity_id INT NOT NULL,
  job_uuid TEXT UNIQUE,
  kind TEXT NOT NULL,
  facts TEXT NOT NULL,
  total INT NOT NULL,
  created_at INT NOT NULL
);
CREATE INDEX import_created ON import (created_at);

-- Rows of a file, some to a slice, as JSON. When a slice is done its rows go and its results stay.
CREATE TABLE import_slice (
  import_id INT NOT NULL,
  number INT NOT NULL,
  lines TEXT NOT NULL,
  results TEXT,
  PRIMARY KEY (import_id, number)
);

-- What the rows of a dry run would have made: who comes later in the file must meet it.
CREATE TABLE import_key (
  import_id INT NOT NULL,
  key TEXT NOT NULL,
  number INT NOT NULL,
  PRIMARY KEY (import_id, key, number)
) COMPACT;
