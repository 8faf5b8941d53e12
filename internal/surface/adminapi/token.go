package adminapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// minToken is the least length of a token, in bytes.
	minToken = 16
	maxToken = 4096
)

// ErrShortToken refuses a token that could be guessed.
var ErrShortToken = fmt.Errorf("the admin token must have at least %d characters", minToken)

// Token is a secret that callers present as "Authorization: Bearer …". Only a
// digest is kept, so that it cannot turn up in a log or a dump. The zero value
// means that none is asked for.
type Token struct {
	digest [sha256.Size]byte
	set    bool
}

// NewToken takes the text of a token, without the white space around it.
func NewToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if len(text) < minToken {
		return Token{}, ErrShortToken
	}
	if len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Token{}, errors.New("the admin token must be one word of printable ASCII characters")
	}
	return Token{digest: sha256.Sum256([]byte(text)), set: true}, nil
}

// ReadToken reads a token from a file.
func ReadToken(path string) (Token, error) {
	f, err := os.Open(path)
	if err != nil {
		return Token{}, fmt.Errorf("admin token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+2))
	if err != nil {
		return Token{}, fmt.Errorf("admin token: %w", err)
	}
	t, err := NewToken(string(text))
	if err != nil {
		return Token{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (t Token) empty() bool { return !t.set }

// matches compares in constant time whatever the lengths.
func (t Token) matches(presented string) bool {
	d := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(d[:], t.digest[:]) == 1 && t.set
}

// String hides the token from formatting.
func (t Token) String() string {
	if t.set {
		return "(hidden)"
	}
	return ""
}
