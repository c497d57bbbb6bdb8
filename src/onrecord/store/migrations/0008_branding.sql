-- Pictures of organisations: the logo and the avatar, in every size in which they are given out;
-- made anew from what was uploaded, which is not kept.
CREATE TABLE branding (
  entity_id INT NOT NULL,
  which TEXT NOT NULL,
  size INT NOT NULL,
  digest TEXT NOT NULL,
  content_type TEXT NOT NULL,
  data BYTES NOT NULL,
  PRIMARY KEY (entity_id, which, size)
);
