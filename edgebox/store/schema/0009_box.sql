-- Whose database it is: copies of it on a stick go by this, so that another box's are neither taken for it nor pushed out.
CREATE TABLE box (id TEXT NOT NULL);
INSERT INTO box (id) VALUES (lower(hex(randomblob(4))));
