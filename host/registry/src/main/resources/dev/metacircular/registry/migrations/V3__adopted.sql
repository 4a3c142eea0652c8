-- Instances without our labels that were taken over; held by their IDs until a deploy replaces them.
CREATE TABLE adopted (
  instance   TEXT PRIMARY KEY,
  runtime    TEXT NOT NULL,
  service    TEXT NOT NULL,
  component  TEXT NOT NULL,
  generation INTEGER NOT NULL
) STRICT;

-- Services whose rows came from a snapshot: as long as their generation is this one, nothing of them is stopped for what the rows say.
CREATE TABLE restored (
  service    TEXT PRIMARY KEY,
  generation INTEGER NOT NULL
) STRICT;

-- The last time that a snapshot took the place of a damaged registry; one row at most.
CREATE TABLE loss (
  noticed_ms INTEGER NOT NULL,
  snapshot   TEXT NOT NULL,
  since_ms   INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  damaged    TEXT NOT NULL,
  why        TEXT NOT NULL
) STRICT;
