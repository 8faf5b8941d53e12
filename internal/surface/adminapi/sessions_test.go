package adminapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// balanced is what browsers ask, of whichever replica it leads to.
const balanced = "127.0.0.1:8443"

func replica(t *testing.T, place string, with func(*adminapi.Options)) (base string, s *accessdb.Service, db *statedb.DB) {
	t.Helper()
	db = statetest.Open(t, place)
	s = accessdb.New(accessdb.Options{DB: db})
	opt := newProcess().options()
	opt.Access = s
	if with != nil {
		with(&opt)
	}
	return start(t, opt), s, db
}

func enter(t *testing.T, base, token string) (header http.Header) {
	t.Helper()
	status, h, body := request{method: "POST", path: "/v1/session", header: jsonType, host: balanced, body: `{"token":"` + token + `"}`}.do(t, base)
	var s adminapi.Session
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != 201 {
		t.Fatalf("login: %d %s", status, body)
	}
	cookie, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
	return halves(cookie, s.PageKey)
}

func ask(t *testing.T, method, base, path string, h http.Header) (status int, body string) {
	t.Helper()
	status, _, body = request{method: method, path: path, header: h, host: balanced}.do(t, base)
	return status, body
}

func listed(t *testing.T, base string, h http.Header) (out []access.Session) {
	t.Helper()
	status, body := ask(t, "GET", base, "/v1/sessions", h)
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	return out
}

// A session that began at one process counts at all that share its state store, also at
// one that starts afterwards, until it is ended at any of them.
func TestSessionsAreOfAllReplicas(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		first, store, db := replica(t, place, nil)
		second, _, _ := replica(t, place, nil)
		by := access.Actor{Name: "test", Role: access.Admin}
		make := func(role access.Role) access.CreatedToken {
			c, err := store.CreateToken(t.Context(), by, access.NewToken{Name: string(role), Role: role})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		viewer, admin := make(access.Viewer), make(access.Admin)
		if _, err := store.CreateToken(t.Context(), by, access.NewToken{Name: "other", Role: access.Admin}); err != nil {
			t.Fatal(err)
		}
		one, two, chief := enter(t, first, viewer.Text), enter(t, second, viewer.Text), enter(t, first, admin.Text)
		for _, base := range []string{first, second} {
			for _, h := range []http.Header{one, two} {
				if status, body := ask(t, "GET", base, "/v1/whoami", h); status != 200 || !strings.Contains(body, `"role":"viewer"`) {
					t.Errorf("%d %s", status, body)
				}
			}
		}
		// Nothing that is kept opens a session.
		err := db.Read(t.Context(), func(tx *statedb.Tx) error {
			rows, err := tx.Sessions(t.Context(), time.Now())
			for _, r := range rows {
				text, _ := json.Marshal(r)
				for _, secret := range []string{viewer.Text, admin.Text, strings.SplitN(one.Get("Cookie"), "=", 2)[1], one.Get("X-Gridway-Page-Key")} {
					if strings.Contains(string(text), secret) {
						t.Errorf("a secret is kept: %s", text)
					}
				}
			}
			if len(rows) != 3 {
				t.Errorf("%d sessions are kept", len(rows))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// Who sees, and may end, what.
		own := listed(t, second, one)
		if len(own) != 2 || own[0].Current == own[1].Current || own[0].Name != "viewer ("+viewer.ID+")" || own[0].Peer == "" {
			t.Errorf("a viewer is shown %+v", own)
		}
		all := listed(t, second, chief)
		if len(all) != 3 {
			t.Errorf("an admin is shown %+v", all)
		}
		for _, s := range all {
			if s.Role == access.Admin {
				if status, _ := ask(t, "DELETE", first, "/v1/sessions/"+s.ID, one); status != 404 {
					t.Errorf("a viewer ends an admin's session: status %d", status)
				}
			}
		}
		// Everywhere is at all replicas, and of nobody else.
		if status, body := ask(t, "DELETE", second, "/v1/session?everywhere=true", one); status != 200 || !strings.Contains(body, `"sessions":2`) {
			t.Errorf("%d %s", status, body)
		}
		for _, h := range []http.Header{one, two} {
			if status, _ := ask(t, "GET", first, "/v1/whoami", h); status != 401 {
				t.Errorf("after the logout everywhere: status %d", status)
			}
		}
		if status, _ := ask(t, "GET", first, "/v1/whoami", chief); status != 200 {
			t.Errorf("another's session: status %d", status)
		}
		// Who revokes a token ends its sessions; an admin ends one alone.
		one, two = enter(t, first, viewer.Text), enter(t, second, viewer.Text)
		if status, body := ask(t, "DELETE", second, "/v1/sessions/"+listed(t, first, one)[0].ID, chief); status != 204 {
			t.Errorf("%d %s", status, body)
		}
		if status, body := ask(t, "GET", first, "/v1/audit?limit=1", chief); status != 200 || !strings.Contains(body, `"action":"end","object":"Session/`) {
			t.Errorf("%d %s", status, body)
		}
		over := 0
		for _, h := range []http.Header{one, two} {
			if status, _ := ask(t, "GET", first, "/v1/whoami", h); status == 401 {
				over++
			}
		}
		if over != 1 {
			t.Errorf("%d sessions are over where one was ended", over)
		}
		if status, body := ask(t, "DELETE", second, "/v1/tokens/"+viewer.ID, chief); status != 204 {
			t.Errorf("%d %s", status, body)
		}
		if left := listed(t, first, chief); len(left) != 1 {
			t.Errorf("after the token was revoked: %+v", left)
		}
	})
}

// A login at an OpenID provider may begin at one replica and end at another.
func TestOIDCLoginOverReplicas(t *testing.T) {
	place := statetest.SQLite(t)
	secret := [][]byte{[]byte("a secret that both replicas have")}
	idp, with := withReplicas(t, secret)
	first, _, _ := replica(t, place, with)
	second, _, _ := replica(t, place, with)
	attempt, state := beginLogin(t, first, idp)
	status, header, body := post(t, second, "/v1/session/oidc", `{"code":"good","state":"`+state+`"}`, attempt)
	var s adminapi.Session
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	cookie := ""
	for _, set := range header.Values("Set-Cookie") {
		if !strings.Contains(set, "-login-") {
			cookie, _, _ = strings.Cut(set, ";")
		}
	}
	status, _, body = request{path: "/v1/whoami", header: halves(cookie, s.PageKey), host: consoleHost}.do(t, first)
	if status != 200 || !strings.Contains(body, "ada (oidc:") {
		t.Errorf("%d %s", status, body)
	}
	status, _, body = request{path: "/v1/sessions", header: halves(cookie, s.PageKey), host: consoleHost}.do(t, second)
	if status != 200 || !strings.Contains(body, `"current":true`) || strings.Count(body, `"id"`) != 1 {
		t.Errorf("%d %s", status, body)
	}
}

func TestEndedSessionsAreSwept(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s := accessdb.New(accessdb.Options{DB: db, Now: func() time.Time { return now }})
		keep := func(digest, subject string, life time.Duration) {
			t.Helper()
			if err := s.KeepSession(t.Context(), &access.KeptSession{Digest: digest, Subject: subject, Session: access.Session{Name: subject, Role: access.Viewer, Began: now, Ends: now.Add(life)}}); err != nil {
				t.Fatal(err)
			}
		}
		rows := func() (n int) {
			err := db.Read(t.Context(), func(tx *statedb.Tx) error {
				return tx.Get(t.Context(), "SELECT COUNT(*) FROM console_sessions", nil, &n)
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		keep("a", "ada", time.Minute)
		keep("b", "bob", time.Hour)
		now = now.Add(time.Minute)
		if _, err := s.Session(t.Context(), "a"); !errors.Is(err, access.ErrSession) {
			t.Errorf("one that has ended: %v", err)
		}
		if list, err := s.Sessions(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if n := rows(); n != 2 {
			t.Errorf("%d rows", n)
		}
		if err := s.SweepSessions(t.Context(), now); err != nil || rows() != 1 {
			t.Errorf("%v, %d rows", err, rows())
		}
		if err := s.EndSession(t.Context(), "a"); !errors.Is(err, access.ErrSession) {
			t.Errorf("of one that is gone: %v", err)
		}
		// One who logs in without end takes nobody else's place.
		for range access.MaxSessionsOfOne + 3 {
			now = now.Add(time.Second)
			keep(now.String(), "ada", time.Hour)
		}
		if n := rows(); n != access.MaxSessionsOfOne+1 {
			t.Errorf("%d rows", n)
		}
		if _, err := s.Session(t.Context(), "b"); err != nil {
			t.Errorf("another's: %v", err)
		}
	})
}

// unreachable is a state store that cannot be asked about sessions.
type unreachable struct{ adminapi.Access }

func (unreachable) Session(context.Context, string) (*access.KeptSession, error) {
	return nil, errors.New("connection refused")
}

func (unreachable) KeepSession(context.Context, *access.KeptSession) error {
	return errors.New("connection refused")
}

func TestNobodyIsLoggedOutByAStoreThatIsAway(t *testing.T) {
	place := statetest.SQLite(t)
	base, _, _ := replica(t, place, func(o *adminapi.Options) { o.Token = token(t) })
	h := enter(t, base, tokenText)
	away, _, _ := replica(t, place, func(o *adminapi.Options) { o.Token, o.Access = token(t), unreachable{o.Access} })
	for _, c := range []struct{ method, path string }{{"GET", "/v1/status"}, {"DELETE", "/v1/session"}} {
		status, header, body := request{method: c.method, path: c.path, header: h, host: balanced}.do(t, away)
		if status != 503 || !strings.Contains(body, "state store cannot be reached now") || header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	status, _, body := request{method: "POST", path: "/v1/session", header: jsonType, host: balanced, body: `{"token":"` + tokenText + `"}`}.do(t, away)
	if status != 503 || strings.Contains(body, "refused") {
		t.Errorf("login: %d %s", status, body)
	}
	if status, _ := ask(t, "GET", base, "/v1/status", h); status != 200 {
		t.Errorf("status %d", status)
	}
}
