-- +goose Up

-- Node proxies, by their SPIFFE IDs, with what the token granted (JSON) by which each
-- joined last: of which workloads it may have SVIDs. Times are in Unix milliseconds.
CREATE TABLE mesh_nodes (
	node TEXT NOT NULL PRIMARY KEY,
	grants TEXT NOT NULL,
	token TEXT NOT NULL,
	joined BIGINT NOT NULL
);
