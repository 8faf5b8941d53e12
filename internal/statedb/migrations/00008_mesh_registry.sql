-- +goose Up

-- Proxies of a mesh with the workloads before which they stand, as the control plane says
-- (replica) that has their stream. version is that of the feed's area with the last change.
-- One that is gone stays for a while without content, so that others learn of it.
-- Times are in Unix milliseconds by the store's clock.
CREATE TABLE mesh_proxies (
	proxy TEXT NOT NULL PRIMARY KEY,
	replica TEXT NOT NULL,
	version BIGINT NOT NULL,
	content TEXT NOT NULL,
	gone BIGINT NOT NULL
);
CREATE INDEX mesh_proxies_by_version ON mesh_proxies (version);
CREATE INDEX mesh_proxies_by_replica ON mesh_proxies (replica, gone);

-- Control planes, and when each was last heard of.
CREATE TABLE mesh_replicas (
	replica TEXT NOT NULL PRIMARY KEY,
	seen BIGINT NOT NULL
);
