-- +goose Up

-- What was used of limits that processes share, for each key of each: a state that
-- package budget reads. Expires, in Unix milliseconds, is from when on it says no
-- more than no row would.
CREATE TABLE budgets (
	counter TEXT NOT NULL,
	caller TEXT NOT NULL,
	state TEXT NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (counter, caller)
);
CREATE INDEX budgets_expires ON budgets (expires);
