package password_test

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/gridway/gridway/internal/password"
)

// argon is of "secret", made to be cheap: m=8 KiB, one round.
const argon = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$"

func none() {}

func hashes(t *testing.T, secret string) map[string]*password.Hash {
	t.Helper()
	made := password.Make([]byte(secret))
	b, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*password.Hash{}
	for name, text := range map[string]string{
		"argon2id": made, "bcrypt": string(b), "bcrypt of PHP": strings.Replace(string(b), "$2a$", "$2y$", 1),
	} {
		h, err := password.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out[name] = h
	}
	return out
}

func TestVerify(t *testing.T) {
	v := password.New(1)
	for name, h := range hashes(t, "secret") {
		for _, c := range []struct {
			password string
			known    bool
			want     password.Verdict
		}{
			{"wrong", true, password.Wrong},
			{"secret", false, password.Wrong}, // somebody else's hash
			{"secret", true, password.Right},
			{"secret", true, password.Right}, // by memory
			{"secret", false, password.Wrong},
			{"Secret", true, password.Wrong},
			{"", true, password.Wrong},
			{strings.Repeat("x", 1025), true, password.Wrong},
		} {
			if got := v.Verify(h, c.known, []byte(c.password), netip.Addr{}, none); got != c.want {
				t.Errorf("%s: %q, known %t: %v, want %v", name, c.password, c.known, got, c.want)
			}
		}
	}
}

// bcrypt looks at 72 bytes: what agrees in those is another password all the same.
func TestBcryptIsNotCut(t *testing.T) {
	long := strings.Repeat("x", 72)
	h := hashes(t, long)["bcrypt"]
	v := password.New(1)
	if got := v.Verify(h, true, []byte(long+"y"), netip.Addr{}, none); got != password.Wrong {
		t.Error(got)
	}
	if got := v.Verify(h, true, []byte(long), netip.Addr{}, none); got != password.Right {
		t.Error(got)
	}
}

// While guesses fill every place, who was right before gets through at once, and
// what is beyond the queue is turned away.
func TestAFloodOfGuesses(t *testing.T) {
	v := password.New(1)
	h := hashes(t, "secret")["argon2id"]
	if got := v.Verify(h, true, []byte("secret"), netip.Addr{}, none); got != password.Right {
		t.Fatal(got)
	}
	var busy, wrong, waited atomic.Int64
	var flood sync.WaitGroup
	for range 200 {
		flood.Go(func() {
			switch v.Verify(h, true, []byte("a guess"), netip.Addr{}, func() { waited.Add(1) }) {
			case password.Busy:
				busy.Add(1)
			case password.Wrong:
				wrong.Add(1)
			}
		})
	}
	for range 1000 {
		if got := v.Verify(h, true, []byte("secret"), netip.Addr{}, func() { t.Error("it is looked at again") }); got != password.Right {
			t.Error(got)
		}
	}
	flood.Wait()
	if busy.Load()+wrong.Load() != 200 || waited.Load() != 200 {
		t.Errorf("%d busy, %d wrong, %d waited", busy.Load(), wrong.Load(), waited.Load())
	}
}

func TestMemoryAllocatesNothing(t *testing.T) {
	v, secret := password.New(1), []byte("secret")
	h := hashes(t, "secret")["bcrypt"]
	v.Verify(h, true, secret, netip.Addr{}, none)
	if n := testing.AllocsPerRun(100, func() { v.Verify(h, true, secret, netip.Addr{}, none) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const sum = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestParse(t *testing.T) {
	for text, ok := range map[string]bool{
		argon + sum: true,
		"$argon2id$v=19$m=262144,t=16,p=16$c29tZXNhbHQ$" + sum: true,
		"$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$" + sum:   false,
		"$argon2id$v=19$m=64,t=17,p=1$c29tZXNhbHQ$" + sum:      false,
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$" + sum:       false,
		"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$" + sum:       false,
		"$argon2id$v=19$m=15,t=1,p=2$c29tZXNhbHQ$" + sum:       false,
		"$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$" + sum:       false,
		"$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$" + sum:           false,
		"$argon2id$v=19$m=64,t=1,p=1,x=1$c29tZXNhbHQ$" + sum:   false,
		"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$" + sum:       false,
		"$argon2id$v=19$m=64,t=1,p=1$c29t$" + sum:              false,
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA":         false,
		"$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + sum:        false,
		"$2b$15$" + strings.Repeat("a", 53):                    false,
		"$2b$14$" + strings.Repeat("a", 53):                    true,
		"$2b$14$short":                                         false, "$1$md5": false, "plain": false, "": false,
	} {
		if _, err := password.Parse(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse: what is taken has work within the bounds, which the seeds of great
// costs would make long otherwise.
func FuzzParse(f *testing.F) {
	f.Add(argon + sum)
	f.Add("$2b$04$" + strings.Repeat("a", 53))
	f.Add("$argon2id$v=19$m=99999999999,t=1,p=1$c29tZXNhbHQ$" + sum)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := password.Parse(text)
		if (h == nil) == (err == nil) {
			t.Fatalf("%v, %v", h, err)
		}
		if err == nil && !strings.HasPrefix(text, "$argon2id$v=19$m=") && !strings.HasPrefix(text, "$2") {
			t.Fatalf("%q is taken", text)
		}
	})
}
