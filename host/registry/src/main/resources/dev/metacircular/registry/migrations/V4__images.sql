-- Images that the agent itself brought to the node, by what it asked for: others are never collected.
CREATE TABLE pulled_image (
  image     TEXT NOT NULL,
  reference TEXT NOT NULL,
  runtime   TEXT NOT NULL,
  pulled_ms INTEGER NOT NULL,
  PRIMARY KEY (image, reference)
) STRICT;

-- What each component was deployed from, the last of which stay.
CREATE TABLE image_use (
  service   TEXT NOT NULL,
  component TEXT NOT NULL,
  image     TEXT NOT NULL,
  used_ms   INTEGER NOT NULL,
  PRIMARY KEY (service, component, image)
) STRICT;
INSERT INTO image_use SELECT service, name, image_id, 0 FROM component WHERE image_id <> '';
