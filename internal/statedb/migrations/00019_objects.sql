-- +goose Up

-- An object of the configuration as it was applied, in YAML; sealed by a secret that is
-- not here where it is a Secret. Its version is the revision that made it what it is. One
-- that was deleted stays for a while without its text, so that who asks for changes is
-- told. Times are in Unix milliseconds.
CREATE TABLE objects (
	grp TEXT NOT NULL,
	kind TEXT NOT NULL,
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	version BIGINT NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	deleted BIGINT NOT NULL DEFAULT 0,
	sealed BIGINT NOT NULL DEFAULT 0,
	source TEXT NOT NULL,
	PRIMARY KEY (grp, kind, namespace, name)
);
CREATE INDEX objects_version ON objects (version);

-- Changes of the configuration, by the admin API and in files. Their numbers are the
-- versions of the area, without gaps; the oldest leave.
CREATE TABLE revisions (
	number BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	message TEXT NOT NULL,
	origin TEXT NOT NULL,
	omitted BIGINT NOT NULL
);
CREATE INDEX revisions_at ON revisions (at);

-- What a revision has done to each object, with its text before and after: empty where
-- there was or is none, sealed where the object is a Secret. Place is where an object of
-- a file stands.
CREATE TABLE revision_changes (
	number BIGINT NOT NULL,
	position BIGINT NOT NULL,
	op TEXT NOT NULL,
	grp TEXT NOT NULL,
	kind TEXT NOT NULL,
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	place TEXT NOT NULL,
	sealed BIGINT NOT NULL,
	was TEXT NOT NULL,
	became TEXT NOT NULL,
	PRIMARY KEY (number, position)
);
CREATE INDEX revision_changes_object ON revision_changes (kind, namespace, name, number);

-- Objects of files as the latest revision of them has it: processes that read the same
-- files record a change once.
CREATE TABLE file_objects (
	grp TEXT NOT NULL,
	kind TEXT NOT NULL,
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	PRIMARY KEY (grp, kind, namespace, name)
);
