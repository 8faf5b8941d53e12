-- +goose Up

-- What proxies before workloads have seen of requests and connections, by the day (UTC, in
-- days since 1970) and kind, of which key is a digest and content says what it is. Control
-- planes add to the same rows. Times are in Unix milliseconds, duration is the sum of all
-- in microseconds, and addresses has a bit for each of 63 groups of clients' addresses.
CREATE TABLE mesh_traffic (
	day BIGINT NOT NULL,
	key TEXT NOT NULL,
	namespace TEXT NOT NULL,
	service TEXT NOT NULL,
	content TEXT NOT NULL,
	seen BIGINT NOT NULL,
	failed BIGINT NOT NULL,
	duration BIGINT NOT NULL,
	first_seen BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	addresses BIGINT NOT NULL,
	PRIMARY KEY (day, key)
);
CREATE INDEX mesh_traffic_by_service ON mesh_traffic (namespace, service, day);
