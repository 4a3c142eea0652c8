-- The counter of a service outlives the service, so that no instance of an earlier life is ever taken for a later one's.
CREATE TABLE generation (
  service  TEXT PRIMARY KEY,
  reserved INTEGER NOT NULL
) STRICT;

CREATE TABLE service (
  name       TEXT PRIMARY KEY,
  generation INTEGER NOT NULL,
  active     INTEGER NOT NULL
) STRICT;

CREATE TABLE component (
  service          TEXT NOT NULL REFERENCES service (name) ON DELETE CASCADE,
  name             TEXT NOT NULL,
  position         INTEGER NOT NULL,
  desired          TEXT NOT NULL,
  generation       INTEGER NOT NULL,
  document_version INTEGER NOT NULL,
  document         TEXT NOT NULL,
  document_digest  TEXT NOT NULL,
  canonical_name   TEXT NOT NULL UNIQUE,
  image_id         TEXT NOT NULL,
  PRIMARY KEY (service, name)
) STRICT;

-- A deploy's journal entry, from before its first side effect until after its last.
CREATE TABLE pending_deploy (
  service       TEXT PRIMARY KEY,
  generation    INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  started_by    TEXT NOT NULL,
  committed     INTEGER NOT NULL,
  active        INTEGER NOT NULL
) STRICT;

-- The rows that the commit puts in place of the service's.
CREATE TABLE pending_component (
  service          TEXT NOT NULL REFERENCES pending_deploy (service) ON DELETE CASCADE,
  name             TEXT NOT NULL,
  position         INTEGER NOT NULL,
  desired          TEXT NOT NULL,
  generation       INTEGER NOT NULL,
  document_version INTEGER NOT NULL,
  document         TEXT NOT NULL,
  document_digest  TEXT NOT NULL,
  image_id         TEXT NOT NULL,
  PRIMARY KEY (service, name)
) STRICT;

-- The instances as they were before the deploy.
CREATE TABLE pending_before (
  service       TEXT NOT NULL REFERENCES pending_deploy (service) ON DELETE CASCADE,
  component     TEXT NOT NULL,
  runtime       TEXT NOT NULL,
  instance      TEXT NOT NULL,
  was_running   INTEGER NOT NULL,
  removed_by_it INTEGER NOT NULL,
  PRIMARY KEY (service, instance)
) STRICT;

-- Instances whose end the agent asked for; the runtime does not tell.
CREATE TABLE stop_request (
  instance TEXT PRIMARY KEY,
  time_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms   INTEGER NOT NULL,
  service   TEXT NOT NULL,
  component TEXT NOT NULL,
  kind      TEXT NOT NULL,
  message   TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_service ON event (service, id);

CREATE TABLE token (
  name          TEXT PRIMARY KEY,
  role          TEXT NOT NULL,
  sha256        TEXT NOT NULL UNIQUE,
  created_at_ms INTEGER NOT NULL
) STRICT;

-- Outcomes of finished mutating calls, for a caller that asks again.
CREATE TABLE outcome (
  caller  TEXT NOT NULL,
  key     TEXT NOT NULL,
  method  TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (caller, key)
) STRICT;
