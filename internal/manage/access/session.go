package access

import (
	"errors"
	"time"
)

const (
	// MaxSessions is how many sessions of the console there may be, and MaxSessionsOfOne how
	// many of one person or token: the oldest gives way.
	MaxSessions      = 1024
	MaxSessionsOfOne = 64
)

// ErrSession: there is no such session, or not any more.
var ErrSession = errors.New("there is no such session")

// Session is somebody who is logged in to the console.
type Session struct {
	// ID tells it apart. It is a part of a digest, and opens nothing.
	ID string `json:"id"`
	// Name, Role and Peer are as they were at the login.
	Name string `json:"name"`
	Role Role   `json:"role"`
	Peer string `json:"peer,omitempty"`
	// Began and Ends are when.
	Began time.Time `json:"began"`
	Ends  time.Time `json:"ends"`
	// Current is the session of who asks.
	Current bool `json:"current,omitempty"`
}

// KeptSession is a session as it is kept.
type KeptSession struct {
	Session
	// Digest is of its cookie: SHA-256, in hexadecimal digits.
	Digest string `json:"-"`
	// Sealed is what was logged in with. Only who has both halves of the session reads it.
	Sealed []byte `json:"-"`
	// Subject is whose it is, as Actor has it.
	Subject string `json:"-"`
}

// sessionID is how much of a digest tells sessions apart.
const sessionID = 12

// SessionID is the ID of the session with a digest.
func SessionID(digest string) string { return digest[:min(len(digest), sessionID)] }
