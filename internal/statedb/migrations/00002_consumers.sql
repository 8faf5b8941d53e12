-- +goose Up

-- A consumer is a manifest of its kind, in JSON. One that was deleted stays for a
-- while without its manifest, so that who asks for changes is told.
CREATE TABLE consumers (
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	version BIGINT NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	deleted BIGINT NOT NULL DEFAULT 0,
	manifest TEXT NOT NULL,
	PRIMARY KEY (namespace, name)
);
CREATE INDEX consumers_version ON consumers (version);

-- What consumers are found by belongs to one of them in each namespace.
CREATE TABLE consumer_credentials (
	namespace TEXT NOT NULL,
	digest TEXT NOT NULL,
	consumer TEXT NOT NULL,
	credential TEXT NOT NULL,
	PRIMARY KEY (namespace, digest)
);
CREATE INDEX consumer_credentials_consumer ON consumer_credentials (namespace, consumer);

-- When credentials were accepted last, of consumers in files too.
CREATE TABLE credential_uses (
	namespace TEXT NOT NULL,
	digest TEXT NOT NULL,
	used BIGINT NOT NULL,
	noted BIGINT NOT NULL,
	PRIMARY KEY (namespace, digest)
);
CREATE INDEX credential_uses_noted ON credential_uses (noted);
