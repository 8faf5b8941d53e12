package vouch_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

const (
	edgeID    = "spiffe://example.org/ns/front/sa/edge"
	reviewsID = "spiffe://example.org/ns/default/sa/reviews"
	ratingsID = "spiffe://example.org/ns/default/sa/ratings"
)

var (
	now     = time.Now()
	request = []byte("4c6f9a3e-request")
	half    = &ir.Vouching{Lifetime: 30 * time.Second, Claims: []string{"tier"}}
)

func ada() *filter.Caller {
	return &filter.Caller{
		Method: "keys", Credential: "laptop",
		Consumer: &ir.Consumer{Namespace: "shop", Name: "ada", Groups: []string{"admins", "staff"}, GroupList: "admins,staff", Plan: "gold", Labels: []ir.Label{{Name: "team", Value: "one"}, {Name: "unit", Value: "\"2\""}}},
		Claims:   filter.NewClaims(map[string]any{"iss": "https://login.example", "sub": "ada", "scope": "read write", "tier": int64(9007199254740993), "private": "not told"}),
	}
}

// newVoucher is one of a process of its own.
func newVoucher(t testing.TB, ids *meshtest.Identities) *vouch.Voucher {
	t.Helper()
	v := vouch.New(ids)
	t.Cleanup(v.Close)
	return v
}

func sign(t testing.TB, v *vouch.Voucher) []byte {
	t.Helper()
	token, err := v.Sign(ada(), half, request, now)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What an edge says is believed: from the edge itself, and from whoever passes it on.
func TestVouch(t *testing.T) {
	a := meshtest.NewAuthority(t)
	edge, inner := newVoucher(t, meshtest.New(a, edgeID)), newVoucher(t, meshtest.New(a, ratingsID))
	token := sign(t, edge)
	t.Logf("a token has %d bytes", len(token))
	want := ada()
	want.Claims = filter.NewClaims(map[string]any{"iss": "https://login.example", "sub": "ada", "scope": "read write", "tier": int64(9007199254740993)})
	for _, peer := range []string{edgeID, reviewsID} {
		got, fault := inner.Verify(token, peer, request, now.Add(20*time.Second))
		if fault != filter.FaultNone || !reflect.DeepEqual(&got, want) {
			t.Errorf("from %s: %s\n%+v %+v, want\n%+v %+v", peer, fault, got, got.Consumer, want, want.Consumer)
		}
	}
	// Someone of whom only the method is known, and all claims.
	token, err := edge.Sign(&filter.Caller{Method: "jwt", Claims: filter.NewClaims(map[string]any{"private": []any{"x"}})}, &ir.Vouching{Lifetime: time.Minute, Claims: []string{"*"}}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	got, fault := inner.Verify(token, reviewsID, []byte("any"), now)
	if fault != filter.FaultNone || got.Consumer != nil || got.Method != "jwt" || len(got.Claims.Values()) != 1 {
		t.Errorf("%s %+v", fault, got)
	}
	counts := map[string]uint64{}
	inner.Counts(func(result string, n uint64) { counts[result] = n })
	if counts["direct"] != 1 || counts["verified"] != 2 || counts["remembered"] != 0 {
		t.Errorf("%v", counts)
	}
}

func TestRefused(t *testing.T) {
	a, foreign := meshtest.NewAuthority(t), meshtest.NewAuthority(t)
	edge := newVoucher(t, meshtest.New(a, edgeID))
	inner := newVoucher(t, meshtest.New(a, ratingsID))
	token := sign(t, edge)
	part := bytes.Split(token, []byte("."))
	with := func(i int, text string) []byte {
		p := append([][]byte(nil), part...)
		p[i] = []byte(text)
		return bytes.Join(p, []byte("."))
	}
	head := func(m map[string]any) string {
		b, _ := json.Marshal(m)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	var was map[string]any
	text, _ := base64.RawURLEncoding.DecodeString(string(part[0]))
	if err := json.Unmarshal(text, &was); err != nil {
		t.Fatal(err)
	}
	chain := was["x5c"]
	body := func(edit func(map[string]any)) string {
		m := map[string]any{}
		text, _ := base64.RawURLEncoding.DecodeString(string(part[1]))
		_ = json.Unmarshal(text, &m)
		edit(m)
		return head(m)
	}
	// An identity that is no edge signs with its own key, and says that it is the edge.
	thief := meshtest.New(a, edgeID)
	svid := a.Issue(reviewsID, time.Hour)
	thief.Add(edgeID, svid)
	reviews, err := vouch.New(meshtest.New(a, reviewsID)).Sign(ada(), half, request, now)
	if !errors.Is(err, vouch.ErrNoEdge) {
		t.Errorf("a workload signs: %s, %v", reviews, err)
	}
	byThief := append([][]byte(nil), part...)
	byThief[0] = []byte(head(map[string]any{"alg": "ES256", "typ": "gridway-caller+jwt", "x5c": []any{svid.Certificate[0]}}))
	sameName := sign(t, newVoucher(t, meshtest.New(foreign, edgeID)))
	otherDomain := sign(t, newVoucher(t, meshtest.New(a, "spiffe://other.example/ns/front/sa/edge")))
	for name, c := range map[string]struct {
		token []byte
		peer  string
		id    string
		at    time.Duration
		want  filter.Fault
	}{
		"good":                      {token: token},
		"late clock":                {token: token, at: -9 * time.Second},
		"just over":                 {token: token, at: 39 * time.Second},
		"expired":                   {token: token, at: 41 * time.Second, want: filter.FaultExpired},
		"expired, from the edge":    {token: token, peer: edgeID, at: 41 * time.Second, want: filter.FaultExpired},
		"not yet":                   {token: token, at: -12 * time.Second, want: filter.FaultNotYet},
		"for another request":       {token: token, id: "other", want: filter.FaultRequest},
		"without a request":         {token: token, id: "-", want: filter.FaultRequest},
		"another one's word":        {token: with(1, body(func(m map[string]any) { m["consumer"] = map[string]any{"namespace": "shop", "name": "root"} })), want: filter.FaultSignature},
		"cut signature":             {token: token[:len(token)-2], want: filter.FaultSignature},
		"no signature":              {token: with(2, ""), want: filter.FaultSignature},
		"long life":                 {token: with(1, body(func(m map[string]any) { m["exp"] = now.Unix() + 3600 })), want: filter.FaultClaims},
		"endless":                   {token: with(1, body(func(m map[string]any) { delete(m, "exp") })), want: filter.FaultClaims},
		"other audience":            {token: with(1, body(func(m map[string]any) { m["aud"] = "spiffe://other.example" })), want: filter.FaultAudience},
		"by a workload":             {token: with(1, body(func(m map[string]any) { m["iss"] = reviewsID })), want: filter.FaultIssuer},
		"a workload's certificate":  {token: bytes.Join(byThief, []byte(".")), want: filter.FaultIssuer},
		"by another edge":           {token: with(1, body(func(m map[string]any) { m["iss"] = "spiffe://example.org/ns/front/sa/edge-2" })), want: filter.FaultIssuer},
		"in the name of the peer":   {token: with(1, body(func(m map[string]any) { m["iss"] = reviewsID })), peer: reviewsID, want: filter.FaultIssuer},
		"of another authority":      {token: sameName, want: filter.FaultUntrusted},
		"of another trust domain":   {token: otherDomain, want: filter.FaultIssuer},
		"unsigned (alg none)":       {token: with(0, head(map[string]any{"alg": "none", "typ": "gridway-caller+jwt", "x5c": chain})), want: filter.FaultAlgorithm},
		"shared secret (alg HS256)": {token: with(0, head(map[string]any{"alg": "HS256", "typ": "gridway-caller+jwt", "x5c": chain})), want: filter.FaultAlgorithm},
		"another kind of token":     {token: with(0, head(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": chain})), want: filter.FaultType},
		"extensions":                {token: with(0, head(map[string]any{"alg": "ES256", "typ": "gridway-caller+jwt", "x5c": chain, "crit": []string{"b64"}})), want: filter.FaultMalformed},
		"no certificate":            {token: with(0, head(map[string]any{"alg": "ES256", "typ": "gridway-caller+jwt"})), want: filter.FaultMalformed},
		"too many certificates":     {token: with(0, head(map[string]any{"alg": "ES256", "typ": "gridway-caller+jwt", "x5c": make([]string, 6)})), want: filter.FaultMalformed},
		"no DER":                    {token: with(0, head(map[string]any{"alg": "ES256", "typ": "gridway-caller+jwt", "x5c": []string{"AAAA"}})), want: filter.FaultMalformed},
		"two parts":                 {token: bytes.Join(part[:2], []byte(".")), want: filter.FaultMalformed},
		"padding":                   {token: with(1, string(part[1])+"="), want: filter.FaultMalformed},
		"line break":                {token: with(1, string(part[1])+"\n"), want: filter.FaultMalformed},
		"no JSON":                   {token: with(1, "AAAA"), want: filter.FaultMalformed},
		"nobody":                    {token: with(1, body(func(m map[string]any) { m["method"] = "" })), want: filter.FaultMalformed},
		"half a consumer":           {token: with(1, body(func(m map[string]any) { m["consumer"] = map[string]any{"name": "root"} })), want: filter.FaultMalformed},
		"long":                      {token: bytes.Repeat([]byte("a."), vouch.MaxToken), want: filter.FaultMalformed},
		"empty":                     {token: []byte{}, want: filter.FaultMalformed},
	} {
		peer, id := reviewsID, request
		if c.peer != "" {
			peer = c.peer
		}
		if c.id != "" {
			id = []byte(strings.TrimPrefix(c.id, "-"))
		}
		got, fault := inner.Verify(c.token, peer, id, now.Add(c.at))
		if fault != c.want || got.Known() != (fault == filter.FaultNone) {
			t.Errorf("%s: %q, want %q (%+v)", name, fault, c.want, got)
		}
	}
}

// A denied edge is believed no more, at once, and neither is one whose root has gone.
func TestDenied(t *testing.T) {
	a := meshtest.NewAuthority(t)
	ids := meshtest.New(a, ratingsID)
	inner := newVoucher(t, ids)
	token := sign(t, newVoucher(t, meshtest.New(a, edgeID)))
	for range 2 {
		if _, fault := inner.Verify(token, reviewsID, request, now); fault != filter.FaultNone {
			t.Fatal(fault)
		}
	}
	ids.Deny(edgeID)
	if _, fault := inner.Verify(token, reviewsID, request, now); fault != filter.FaultUntrusted {
		t.Errorf("denied, and %q", fault)
	}

	ids = meshtest.New(a, ratingsID)
	inner = newVoucher(t, ids)
	inner.Verify(token, reviewsID, request, now)
	ids.Trust(meshtest.NewAuthority(t))
	if _, fault := inner.Verify(token, reviewsID, request, now.Add(11*time.Second)); fault != filter.FaultUntrusted {
		t.Errorf("the root has gone, and %q", fault)
	}
}

// A renewed SVID signs from then on, and what the last one has signed stays good.
func TestRenewed(t *testing.T) {
	a := meshtest.NewAuthority(t)
	ids := meshtest.New(a, edgeID)
	edge, inner := newVoucher(t, ids), newVoucher(t, meshtest.New(a, ratingsID))
	first := sign(t, edge)
	ids.Add(edgeID, a.Issue(edgeID, time.Hour))
	second := sign(t, edge)
	head := func(token []byte) string { h, _, _ := strings.Cut(string(token), "."); return h }
	if head(first) == head(second) {
		t.Error("the last SVID still signs")
	}
	for _, token := range [][]byte{first, second, first} {
		if _, fault := inner.Verify(token, reviewsID, request, now); fault != filter.FaultNone {
			t.Error(fault)
		}
	}
}

// A token that comes again is judged again, but its signature is not verified again.
func TestRemembered(t *testing.T) {
	a := meshtest.NewAuthority(t)
	ids := meshtest.New(a, ratingsID)
	inner := newVoucher(t, ids)
	token := sign(t, newVoucher(t, meshtest.New(a, edgeID)))
	count := func(result string) (n uint64) {
		inner.Counts(func(one string, k uint64) {
			if one == result {
				n = k
			}
		})
		return n
	}
	var last filter.Caller
	for range 3 {
		c, fault := inner.Verify(token, reviewsID, request, now)
		if fault != filter.FaultNone || c.Consumer == nil || c.Consumer.Name != "ada" || last.Method != "" && !reflect.DeepEqual(c, last) {
			t.Fatalf("%s %+v", fault, c)
		}
		last = c
	}
	if count("verified") != 1 || count("remembered") != 2 {
		t.Errorf("%d verified, %d remembered", count("verified"), count("remembered"))
	}
	if _, fault := inner.Verify(token, reviewsID, []byte("other"), now); fault != filter.FaultRequest {
		t.Errorf("for another request, and %q", fault)
	}
	if _, fault := inner.Verify(token, reviewsID, request, now.Add(41*time.Second)); fault != filter.FaultExpired {
		t.Errorf("expired, and %q", fault)
	}
	changed := bytes.Clone(token)
	changed[len(changed)-1] ^= 'A' ^ 'B'
	if _, fault := inner.Verify(changed, reviewsID, request, now); fault != filter.FaultSignature {
		t.Errorf("with another signature, and %q", fault)
	}
	ids.Deny(edgeID)
	if _, fault := inner.Verify(token, reviewsID, request, now); fault != filter.FaultUntrusted {
		t.Errorf("denied, and %q", fault)
	}
}

// However many tokens there are, what is remembered of them is bounded.
func TestMemoryIsBounded(t *testing.T) {
	a := meshtest.NewAuthority(t)
	edge, inner := newVoucher(t, meshtest.New(a, edgeID)), newVoucher(t, meshtest.New(a, ratingsID))
	c := ada()
	c.Claims = filter.NewClaims(map[string]any{"tier": strings.Repeat("x", 4<<10)})
	at := now
	for n := range 400 {
		at = at.Add(10 * time.Millisecond)
		id := []byte(strconv.Itoa(n))
		token, err := edge.Sign(c, half, id, at)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, fault := inner.Verify(token, reviewsID, id, at); fault != filter.FaultNone {
				t.Fatal(fault)
			}
		}
		if took := inner.Remembers(); took > 4<<20 {
			t.Fatalf("%d bytes after %d tokens", took, n+1)
		}
	}
	full := inner.Remembers()
	if full < 2<<20 {
		t.Errorf("%d bytes", full)
	}
	// What has expired goes while others come.
	at = at.Add(time.Minute)
	for n := range 2000 {
		id := []byte(strconv.Itoa(n))
		token, err := edge.Sign(&filter.Caller{Method: "keys"}, half, id, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, fault := inner.Verify(token, reviewsID, id, at); fault != filter.FaultNone {
			t.Fatal(fault)
		}
	}
	if left := inner.Remembers(); left > 2000*1536 {
		t.Errorf("%d bytes of %d are left", left, full)
	}
}

func TestSignBounds(t *testing.T) {
	a := meshtest.NewAuthority(t)
	edge := newVoucher(t, meshtest.New(a, edgeID))
	c := ada()
	c.Claims = filter.NewClaims(map[string]any{"tier": strings.Repeat("x", vouch.MaxToken)})
	if _, err := edge.Sign(c, half, request, now); !errors.Is(err, vouch.ErrLong) {
		t.Errorf("%v", err)
	}
	ids := meshtest.New(a, edgeID)
	other := a.Issue(edgeID, time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ids.Add(edgeID, &tls.Certificate{Certificate: other.Certificate, Leaf: other.Leaf, PrivateKey: key})
	if _, err := newVoucher(t, ids).Sign(ada(), half, request, now); err == nil || !strings.Contains(err.Error(), "P-256") {
		t.Errorf("%v", err)
	}
	if vouch.New(nil) != nil {
		t.Error("a voucher of nobody")
	}
}

func TestFacesClients(t *testing.T) {
	for name, want := range map[string]bool{"edge": true, "edge-east": true, "edges": false, "": false, "knowl-edge": false} {
		if vouch.FacesClients(name) != want {
			t.Errorf("%q", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	a := meshtest.NewAuthority(f)
	edge, inner := newVoucher(f, meshtest.New(a, edgeID)), newVoucher(f, meshtest.New(a, ratingsID))
	good := sign(f, edge)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("e30.e30.e30"))
	f.Add([]byte(".."))
	f.Fuzz(func(t *testing.T, token []byte) {
		c, fault := inner.Verify(token, reviewsID, request, now)
		if fault == filter.FaultNone && (c.Consumer == nil || c.Consumer.Name != "ada") {
			t.Errorf("forged: %q", token)
		}
		// An edge's own words are of any content, and must not do harm.
		inner.Verify(token, edgeID, request, now)
	})
}

func BenchmarkSign(b *testing.B) {
	v := newVoucher(b, meshtest.New(meshtest.NewAuthority(b), edgeID))
	c := ada()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Sign(c, half, request, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	a := meshtest.NewAuthority(b)
	v := newVoucher(b, meshtest.New(a, ratingsID))
	edge := newVoucher(b, meshtest.New(a, edgeID))
	tokens := make([][]byte, 1<<14) // more than are remembered
	for i := range tokens {
		tokens[i] = sign(b, edge)
	}
	for _, c := range []struct {
		name, peer string
		of         int
	}{{"direct", edgeID, len(tokens)}, {"passed on", reviewsID, len(tokens)}, {"passed on again", reviewsID, 1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, fault := v.Verify(tokens[n%c.of], c.peer, request, now); fault != filter.FaultNone {
					b.Fatal(fault)
				}
			}
		})
	}
}
