-- +goose Up

-- Tokens of the admin API, as digests.
CREATE TABLE tokens (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	digest TEXT NOT NULL UNIQUE,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	used BIGINT NOT NULL
);

-- What was changed, by whom. Rows are added, and leave by their age alone.
CREATE TABLE audit (
	id BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	role TEXT NOT NULL,
	peer TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	was TEXT NOT NULL,
	became TEXT NOT NULL
);
CREATE INDEX audit_object ON audit (object, id);
CREATE INDEX audit_at ON audit (at);
