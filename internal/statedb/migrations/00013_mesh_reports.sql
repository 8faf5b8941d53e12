-- +goose Up

-- What each control plane says of its proxies: digest tells contents apart, seen is when
-- it was last heard of, in Unix milliseconds by the store's clock.
CREATE TABLE mesh_reports (
	replica TEXT NOT NULL PRIMARY KEY,
	seen BIGINT NOT NULL,
	digest TEXT NOT NULL,
	content TEXT NOT NULL
);
