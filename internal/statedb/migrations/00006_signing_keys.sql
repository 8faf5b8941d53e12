-- +goose Up

-- Private keys that tokens are signed with, sealed by a secret that is not here. Of an
-- issuer and algorithm they follow one another: each signs from signs_from until the
-- next one does, and is published as long as a token that it signed can be alive,
-- lifetime after that. Times are in Unix milliseconds, lifetimes in milliseconds.
CREATE TABLE signing_keys (
	issuer TEXT NOT NULL,
	algorithm TEXT NOT NULL,
	serial BIGINT NOT NULL,
	signs_from BIGINT NOT NULL,
	lifetime BIGINT NOT NULL,
	sealed TEXT NOT NULL,
	PRIMARY KEY (issuer, algorithm, serial)
);
