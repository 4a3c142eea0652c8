-- A net change stands for all that happened while nobody looked. alert: 1 while its alert is still to be raised.
ALTER TABLE event ADD COLUMN net INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN alert INTEGER NOT NULL DEFAULT 0;
CREATE INDEX event_to_alert ON event (id) WHERE alert = 1;

-- What was last recorded of each component, so that no change is recorded twice or never; and its failures, so that another agent goes on
-- counting. Written in one transaction with the event that tells it.
CREATE TABLE component_state (
  service         TEXT NOT NULL,
  component       TEXT NOT NULL,
  observed        TEXT NOT NULL,
  exit_status     INTEGER NOT NULL,
  instance        TEXT NOT NULL,
  started_at_ms   INTEGER NOT NULL,
  failures        INTEGER NOT NULL,
  last_failure_ms INTEGER NOT NULL,
  gave_up         INTEGER NOT NULL,
  flapping        INTEGER NOT NULL,
  recent_ms       TEXT NOT NULL,
  PRIMARY KEY (service, component)
) STRICT;

-- The backends that could not be asked when last tried.
CREATE TABLE unavailable_runtime (
  runtime TEXT PRIMARY KEY
) STRICT;

-- The last alert of each component; service and component are empty for the node's.
CREATE TABLE alert_sent (
  service   TEXT NOT NULL,
  component TEXT NOT NULL,
  urgency   INTEGER NOT NULL,
  time_ms   INTEGER NOT NULL,
  PRIMARY KEY (service, component)
) STRICT;
