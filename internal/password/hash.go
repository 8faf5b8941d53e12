package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What a hash may cost: one of these takes some hundreds of milliseconds.
const (
	maxArgonMemory = 256 << 10 // KiB
	maxArgonTime   = 16
	maxArgonLanes  = 16
	maxBcryptCost  = 14
	maxBcrypt      = 72 // bytes of the password that it looks at
)

var errForm = errors.New("is neither $argon2id$v=19$m=…,t=…,p=…$SALT$HASH nor a bcrypt hash, $2a$, $2b$ or $2y$")

// Parse reads a hash: a PHC string of argon2id, or bcrypt's form.
func Parse(s string) (*Hash, error) {
	switch {
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon(s)
	case strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"), strings.HasPrefix(s, "$2y$"):
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || len(s) != 60 {
			return nil, errForm
		}
		if cost > maxBcryptCost {
			return nil, fmt.Errorf("has a cost of %d, and %d is the most", cost, maxBcryptCost)
		}
		return &Hash{compare: func(p []byte) bool {
			return bcrypt.CompareHashAndPassword([]byte(s), p[:min(len(p), maxBcrypt)]) == nil && len(p) <= maxBcrypt
		}}, nil
	}
	return nil, errForm
}

func parseArgon(s string) (*Hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, errForm
	}
	var memory, rounds, lanes uint64
	for i, p := range strings.Split(parts[3], ",") {
		name, digits, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(digits, 10, 32)
		switch {
		case err != nil || i > 2 || name != [...]string{"m", "t", "p"}[i]:
			return nil, errForm
		case i == 0:
			memory = n
		case i == 1:
			rounds = n
		default:
			lanes = n
		}
	}
	if rounds < 1 || lanes < 1 || memory < 8*lanes || rounds > maxArgonTime || lanes > maxArgonLanes || memory > maxArgonMemory {
		return nil, fmt.Errorf("must have m of 8p to %d, t of 1 to %d and p of 1 to %d", maxArgonMemory, maxArgonTime, maxArgonLanes)
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 {
		return nil, errForm
	}
	return &Hash{compare: func(p []byte) bool {
		got := argon2.IDKey(p, salt, uint32(rounds), uint32(memory), uint8(lanes), uint32(len(sum)))
		return subtle.ConstantTimeCompare(got, sum) == 1
	}}, nil
}

// What Make uses: 19 MiB and two rounds, as OWASP recommends.
const (
	makeMemory = 19 << 10
	makeTime   = 2
	makeLanes  = 1
	makeSalt   = 16
	makeLength = 32
)

// Make returns the hash of a password, by argon2id with a random salt.
func Make(password []byte) string {
	salt := make([]byte, makeSalt)
	_, _ = rand.Read(salt) // it never fails
	sum := argon2.IDKey(password, salt, makeTime, makeMemory, makeLanes, makeLength)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", makeMemory, makeTime, makeLanes, encode(salt), encode(sum))
}
