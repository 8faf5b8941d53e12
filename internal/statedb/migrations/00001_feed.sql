-- +goose Up

-- What the installation is known by, made when the store is.
CREATE TABLE installation (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- How far each area has come. A transaction that changes an area takes the next
-- version first, and with it the row until it ends: versions become visible in
-- their order.
CREATE TABLE feed (
	area TEXT PRIMARY KEY,
	version BIGINT NOT NULL
);
