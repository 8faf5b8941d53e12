-- +goose Up

-- Who is logged in to the console. The digest is of the session's cookie (SHA-256, in hex),
-- and what was logged in with is sealed under that cookie and a key that the page alone has:
-- nothing that is kept here opens a session. The subject is certain, and whose sessions end
-- together; name and role are as they were at the login, and are shown. None of them decides
-- what somebody may. Times are in Unix milliseconds.
CREATE TABLE console_sessions (
	digest TEXT NOT NULL PRIMARY KEY,
	subject TEXT NOT NULL,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	peer TEXT NOT NULL,
	began BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	sealed TEXT NOT NULL
);
CREATE INDEX console_sessions_subject ON console_sessions (subject, began);
CREATE INDEX console_sessions_ends ON console_sessions (ends);
