// Package statedb is the state store: SQL tables of what outlives a process and
// is no file of the user's, in an embedded SQLite file or in a PostgreSQL
// database that several processes share. Both have the same tables and are asked
// the same questions.
//
// An area, such as consumers, has a file of queries here (consumers.go), a type
// for them that holds the DB, and a migration in migrations/, whose number is the
// next one free. Queries are written once, with ? for arguments, in the SQL that
// both dialects have: TEXT, BIGINT, ON CONFLICT, RETURNING. Times are BIGINT in
// Unix milliseconds. A migration that has been released is never changed; while
// an upgrade is under way the version before still uses the tables, so that a
// release adds, and only the next one takes away.
//
// A DB owns the goroutine that watches for changes of other processes, which
// Close waits for. The package may be imported by manage, surface, config's
// sources and app; the data plane never links it.
package statedb
