package token_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
)

func TestAnswers(t *testing.T) {
	now := time.Unix(2e9, 0)
	digest := func(s string) *token.Digest {
		d := sha256.Sum256([]byte(s))
		return &d
	}
	a := token.NewAnswers()
	say := func(name string, answer token.Answer) {
		t.Helper()
		if got, ok := a.Ask(digest(name), now, func() {}, func() token.Answer { return answer }); !ok || got != answer {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	later := now.Add(time.Minute)
	good := &token.Verified{Digest: *digest("good"), Claims: filter.NewClaims(map[string]any{"sub": "ada"}), Expires: later}
	say("good", token.Answer{Token: good, Until: later})
	say("bad", token.Answer{Until: later})
	say("at once", token.Answer{Until: now})
	say("down", token.Answer{Err: errors.New("down"), Until: later})
	check := func(name string, at time.Time, known bool) {
		t.Helper()
		if _, ok := a.Get(digest(name), at); ok != known {
			t.Errorf("%s is known: %t", name, ok)
		}
	}
	check("good", now, true)
	check("good", later, false)
	check("bad", now, true)
	check("bad", later, false)
	check("at once", now, false)
	check("down", now, false)
	for i := range 10_000 {
		say(fmt.Sprint(i), token.Answer{Until: later})
	}
	check("bad", now, false)
	check("good", now, true)
}

// Whoever waits gets an answer, and others can ask again, when the one who has asked
// comes to grief.
func TestAnswersAfterAPanic(t *testing.T) {
	a, d, now := token.NewAnswers(), token.Digest{1}, time.Unix(2e9, 0)
	asking, waiting := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		a.Ask(&d, now, nil, func() token.Answer {
			close(asking)
			<-waiting
			panic("a defect")
		})
	})
	<-asking
	answer, ok := a.Ask(&d, now, func() { close(waiting) }, nil)
	if !ok || answer.Err == nil || answer.Err.Error() == "" {
		t.Errorf("%v, %v", answer, ok)
	}
	wg.Wait()
	if _, ok := a.Ask(&d, now, nil, func() token.Answer { return token.Answer{} }); !ok {
		t.Error("nobody can ask any more")
	}
}

func TestTooManyAnswers(t *testing.T) {
	a, now := token.NewAnswers(), time.Unix(2e9, 0)
	hold := make(chan struct{})
	var wg, asked sync.WaitGroup
	for i := range 256 {
		asked.Add(1)
		wg.Go(func() {
			a.Ask(&token.Digest{byte(i), 1}, now, nil, func() token.Answer {
				asked.Done()
				<-hold
				return token.Answer{}
			})
		})
	}
	asked.Wait()
	if _, ok := a.Ask(&token.Digest{0, 2}, now, nil, func() token.Answer { return token.Answer{} }); ok {
		t.Error("there is no bound")
	}
	close(hold)
	wg.Wait()
}
