-- +goose Up

-- What passed over the edges of the service graph, ten minutes to a row: slot is when they
-- began, in Unix seconds, and until how far they are known, in Unix milliseconds. Requests
-- is how many there were, of so many edges, of which content tells.
CREATE TABLE signal_history (
	slot BIGINT NOT NULL PRIMARY KEY,
	until BIGINT NOT NULL,
	requests BIGINT NOT NULL,
	edges BIGINT NOT NULL,
	content TEXT NOT NULL
);
