// Package command is what the commands of Gridway's programs have in common: their frame,
// errors and exit codes, checks of arguments, completion, and the flags of every proxy. It
// knows no command but version.
//
// It owns no goroutines. internal/cli and what is below it are its users.
package command
