-- Pictures of members, in every size in which they are given out; made anew from what was uploaded,
-- which is not kept.
CREATE TABLE avatar (
  member_id INT NOT NULL,
  size INT NOT NULL,
  digest TEXT NOT NULL,
  content_type TEXT NOT NULL,
  data BYTES NOT NULL,
  PRIMARY KEY (member_id, size)
);
