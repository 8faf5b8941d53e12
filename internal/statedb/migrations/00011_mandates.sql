-- +goose Up

-- Work that one of the processes which share the store does for all. holder is the process
-- that was elected, until expires (0 is that it gave the mandate back); term grows with
-- each election of another one, and each change made by the mandate is made for a term.
-- Times are in Unix milliseconds by the store's clock.
CREATE TABLE mandates (
	name TEXT NOT NULL PRIMARY KEY,
	holder TEXT NOT NULL,
	term BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
