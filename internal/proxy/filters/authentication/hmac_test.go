package authentication_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	stdhmac "crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var signingSecret = []byte("0123456789abcdef0123456789abcdef")

var required = []string{"@method", "@authority", "@path", "@query", "content-digest"}

// signing is a policy that accepts signatures, changed by f.
func signing(f func(*ir.HMACAuth)) *ir.Authentication {
	h := &ir.HMACAuth{Required: required, MaxAge: 5 * time.Minute, ClockSkew: 30 * time.Second, Remembered: 1000}
	if f != nil {
		f(h)
	}
	return &ir.Authentication{Policy: "default/signed", Namespace: "default", Realm: "shop", AnyOf: []ir.AuthenticationMethod{{Name: "hmac", HMAC: h}}}
}

func signers(more ...ir.ConsumerCredential) *consumer.Directory {
	d := consumer.New()
	d.Apply([]*ir.Consumer{
		{Namespace: "default", Name: "acme", Credentials: append([]ir.ConsumerCredential{
			{Name: "first", KeyID: "acme", Secret: signingSecret},
			{Name: "late", KeyID: "late", Secret: signingSecret, NotAfter: start.Add(-time.Second)},
		}, more...)},
		{Namespace: "other", Name: "bob", Credentials: []ir.ConsumerCredential{{Name: "k", KeyID: "bob", Secret: signingSecret}}},
	})
	return d
}

// signable is a request with a body of so many bytes, and fields.
func signable(target string, length int64, fields ...string) *filter.Exchange {
	x := &filter.Exchange{Start: start}
	r := &x.Req
	r.Method, r.Scheme, r.Host, r.Target = []byte("POST"), "https", []byte("shop.example"), []byte(target)
	path, query, has := strings.Cut(target, "?")
	r.Path, r.Query, r.HasQuery = []byte(path), []byte(query), has
	if length != 0 {
		r.Body, r.Length = httpmsg.BodyLength, length
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add([]byte(fields[i]), []byte(fields[i+1]))
	}
	return x
}

func mac(base []byte) []byte {
	h := stdhmac.New(sha256.New, signingSecret)
	h.Write(base)
	return h.Sum(nil)
}

// sign adds a signature of these components and parameters.
func sign(t *testing.T, x *filter.Exchange, label, params string, by func(base []byte) []byte) *filter.Exchange {
	t.Helper()
	list, _, err := httpsig.Parse(label+"="+params, label+"=:AAAA:")
	if err != nil {
		t.Fatal(err)
	}
	base, err := list[0].Base(&httpsig.Message{
		Method: string(x.Req.Method), Scheme: x.Req.Scheme, Authority: string(x.Req.Host), Target: string(x.Req.Target),
		Field: func(name string, yield func([]byte)) {
			for i := range x.Req.Header.Len() {
				if f := x.Req.Header.At(i); strings.EqualFold(string(f.Name), name) {
					yield(f.Value)
				}
			}
		},
		Structured: map[string]httpsig.Structure{"x-dict": httpsig.Dictionary},
	})
	if err != nil {
		t.Fatal(err)
	}
	x.Req.Header.Add([]byte("Signature-Input"), []byte(label+"="+params))
	x.Req.Header.Add([]byte("Signature"), []byte(label+"=:"+base64.StdEncoding.EncodeToString(by(base))+":"))
	return x
}

func verify(d *consumer.Directory, p *ir.Authentication, x *filter.Exchange) string {
	a := authentication.New(p, authentication.Deps{Consumers: d, Decisions: counts{}})
	return result(a.OnRequest(x), x)
}

const allOf = `("@method" "@authority" "@path")`

func at(seconds int) string { return fmt.Sprintf(";created=%d", start.Unix()+int64(seconds)) }

func TestHMAC(t *testing.T) {
	const good = "pass hmac default/acme first |"
	const none, bad = `401 Unauthenticated Signature realm="shop"`, `401 InvalidCredential Signature realm="shop"`
	keyid := `;keyid="acme"`
	for _, c := range []struct {
		name, params, want, why string
	}{
		{"a signature", allOf + at(0) + keyid, good, ""},
		{"with the algorithm", allOf + at(0) + keyid + `;alg="hmac-sha256"`, good, ""},
		{"with another algorithm", allOf + at(0) + keyid + `;alg="ed25519"`, bad, "the credential is not accepted"},
		{"an old one", allOf + at(-329) + keyid, good, ""},
		{"too old", allOf + at(-331) + keyid, bad, "the signature is too old"},
		{"early", allOf + at(29) + keyid, good, ""},
		{"too early", allOf + at(31) + keyid, bad, "the signature was created in the future; look at the clock"},
		{"expired", allOf + at(-100) + keyid + fmt.Sprintf(";expires=%d", start.Unix()-31), bad, "the signature has expired"},
		{"without created", allOf + keyid, bad, "the signature must have the parameter created"},
		{"without keyid", allOf + at(0), bad, "the signature must have the parameter keyid"},
		{"of nobody", allOf + at(0) + `;keyid="nobody"`, bad, "the credential is not accepted"},
		{"of another namespace", allOf + at(0) + `;keyid="bob"`, bad, "the credential is not accepted"},
		{"of a credential that is over", allOf + at(0) + `;keyid="late"`, bad, "the credential is not accepted"},
		{"over too little", `("@method" "@authority")` + at(0) + keyid, bad, "the signature must cover @path"},
		{"over more", `("@method" "@target-uri" "x")` + at(0) + keyid, "pass hmac default/acme first | X: y", ""},
		{"not over the query", allOf + at(0) + keyid + `;q`, bad, "the signature must cover @query"},
		{"over the query", `("@method" "@authority" "@request-target")` + at(0) + keyid + `;q`, good + " ?a=b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := "/orders"
			if strings.HasSuffix(c.params, ";q") {
				target += "?a=b"
			}
			x := signable(target, 0)
			if strings.Contains(c.params, `"x"`) {
				x.Req.Header.Add([]byte("X"), []byte("y"))
			}
			got := verify(signers(), signing(nil), sign(t, x, "sig", c.params, mac))
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if x.Local.Detail != c.why {
				t.Errorf("the client reads %q, want %q", x.Local.Detail, c.why)
			}
		})
	}
	if got := verify(signers(), signing(nil), signable("/", 0)); got != none {
		t.Errorf("without a signature: %s", got)
	}
	if got := verify(signers(), signing(nil), signable("/", 0, "Signature", "a=:AAAA:")); got != bad {
		t.Errorf("half of one: %s", got)
	}
	x := sign(t, signable("/orders", 0), "sig", allOf+at(0)+keyid, mac)
	x.Req.Target, x.Req.Path = []byte("/others"), []byte("/others")
	if got := verify(signers(), signing(nil), x); got != bad {
		t.Errorf("for another path: %s", got)
	}
}

func TestWhichSignatureCounts(t *testing.T) {
	params := allOf + at(0) + `;keyid="acme"`
	x := func() *filter.Exchange {
		x := sign(t, signable("/", 0), "a", allOf+at(0)+`;keyid="nobody"`, mac)
		sign(t, x, "b", `("@method")`+at(0)+`;keyid="acme"`, mac)
		return sign(t, x, "c", params+`;tag="shop"`, mac)
	}
	for _, c := range []struct {
		name string
		f    func(*ir.HMACAuth)
		want string
	}{
		{"the first one that is known", nil, "pass"},
		{"that label", func(h *ir.HMACAuth) { h.Label = "c" }, "pass"},
		{"another label", func(h *ir.HMACAuth) { h.Label = "a" }, "401 InvalidCredential"},
		{"a label that covers too little", func(h *ir.HMACAuth) { h.Label = "b" }, "401 InvalidCredential"},
		{"no such label", func(h *ir.HMACAuth) { h.Label = "d" }, "401 Unauthenticated"},
		{"that tag", func(h *ir.HMACAuth) { h.Tag = "shop" }, "pass"},
		{"no such tag", func(h *ir.HMACAuth) { h.Tag = "bank" }, "401 Unauthenticated"},
	} {
		if got := verify(signers(), signing(c.f), x()); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	kept := x()
	if got := verify(signers(), signing(func(h *ir.HMACAuth) { h.Forward = true }), kept); !strings.Contains(got, "Signature-Input") {
		t.Errorf("forwarded: %s", got)
	}
}

func TestPublicKeysVerifySignatures(t *testing.T) {
	edPublic, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(public any) []byte {
		b, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	d := signers(
		ir.ConsumerCredential{Name: "ed", KeyID: "ed", PublicKey: der(edPublic), Algorithm: httpsig.Ed25519},
		ir.ConsumerCredential{Name: "ec", KeyID: "ec", PublicKey: der(&ec.PublicKey), Algorithm: httpsig.ECDSAP256SHA256})
	byEC := func(base []byte) []byte {
		sum := sha256.Sum256(base)
		r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
	for _, c := range []struct {
		keyid string
		by    func([]byte) []byte
		want  string
	}{
		{"ed", func(b []byte) []byte { return ed25519.Sign(edPrivate, b) }, "pass hmac default/acme ed |"},
		{"ec", byEC, "pass hmac default/acme ec |"},
		{"ed", mac, `401 InvalidCredential Signature realm="shop"`},
		// The public key is no secret of HMAC.
		{"ed", func(b []byte) []byte {
			h := stdhmac.New(sha256.New, der(edPublic))
			h.Write(b)
			return h.Sum(nil)
		}, `401 InvalidCredential Signature realm="shop"`},
	} {
		x := sign(t, signable("/", 0), "sig", allOf+at(0)+`;keyid="`+c.keyid+`"`, c.by)
		if got := verify(d, signing(nil), x); got != c.want {
			t.Errorf("%s: got %s, want %s", c.keyid, got, c.want)
		}
	}
	// Two signatures over the same are one request.
	a := authentication.New(signing(nil), authentication.Deps{Consumers: d, Decisions: counts{}})
	for i, want := range []filter.Verdict{filter.Continue, filter.Reply} {
		if got := a.OnRequest(sign(t, signable("/", 0), "sig", allOf+at(0)+`;keyid="ec"`, byEC)); got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestSignaturesAreUsedOnce(t *testing.T) {
	params := allOf + at(0) + `;keyid="acme"`
	once := func(a *authentication.Authentication, target, params string) string {
		x := sign(t, signable(target, 0), "sig", params, mac)
		got, _, _ := strings.Cut(result(a.OnRequest(x), x), " Sig")
		got, _, _ = strings.Cut(got, " hmac")
		return got
	}
	a := authentication.New(signing(func(h *ir.HMACAuth) { h.Remembered = 3 }), authentication.Deps{Consumers: signers(), Decisions: counts{}})
	for _, c := range []struct{ target, params, want string }{
		{"/", params, "pass"},
		{"/", params, "401 InvalidCredential"},
		{"/", params + `;nonce="a"`, "pass"},
		{"/", params + `;nonce="a"`, "401 InvalidCredential"},
		{"/other", params + `;nonce="a"`, "401 InvalidCredential"},
		{"/other", params, "pass"},
		{"/more", params, "503 AuthenticationOverload"},
		{"/", params, "401 InvalidCredential"},
	} {
		if got := once(a, c.target, c.params); strings.TrimSpace(got) != c.want {
			t.Errorf("%s %s: got %q, want %s", c.target, c.params, got, c.want)
		}
	}
	a = authentication.New(signing(func(h *ir.HMACAuth) { h.Remembered = 0 }), authentication.Deps{Consumers: signers(), Decisions: counts{}})
	for range 2 {
		if got := once(a, "/", params); got != "pass" {
			t.Errorf("not remembered: %s", got)
		}
	}
}

// A refusal says what the same request must have signed: RFC 9421 §5.1.
func TestAcceptSignature(t *testing.T) {
	policy := signing(func(h *ir.HMACAuth) {
		h.Required = append([]string{`priority;key="u"`}, required...)
		h.Tag = `a "shop"`
	})
	query, body, both := signable("/?a", 0), signable("/", 7), signable("/?a", 7)
	bad := signable("/", 0, "Signature", "a=:AAAA:", "Signature-Input", "a=x")
	for x, want := range map[*filter.Exchange]string{
		signable("/", 0): ``, bad: ``, query: ` "@query"`, body: ` "content-digest"`, both: ` "@query" "content-digest"`,
	} {
		verify(signers(), policy, x)
		want = `sig1=("priority";key="u" "@method" "@authority" "@path"` + want + `);created;tag="a \"shop\""`
		if got := x.Resp.Header.GetName([]byte("Accept-Signature")); string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRequiredParts(t *testing.T) {
	policy := signing(func(h *ir.HMACAuth) {
		h.Required = []string{`x-dict;key="a"`, `@query-param;name="id"`}
		h.Structured = []ir.StructuredField{{Name: "x-dict", Type: ir.StructureDictionary}}
	})
	for list, want := range map[string]string{
		`("x-dict" "@query")`: "pass", `("x-dict";sf "@request-target")`: "pass", `("x-dict";key="a" "@query-param";name="id")`: "pass", `("x-dict";bs "@target-uri")`: "pass",
		`("x-dict";key="b" "@query")`: `the signature must cover x-dict;key="a"`, `("x-dict" "@query-param";name="x")`: `the signature must cover @query-param;name="id"`,
	} {
		x := signable("/?id=7&x=1", 0, "X-Dict", "a=1, b=2")
		x.Req.Header.Add([]byte("X-Dict"), []byte("c"))
		params := list + at(0) + `;keyid="acme"`
		sign(t, x, "sig", params, mac)
		got := verify(signers(), policy, x)
		if got != want && !strings.HasPrefix(got, want+" ") && x.Local.Detail != want {
			t.Errorf("%s: %s %s, want %s", list, got, x.Local.Detail, want)
		}
	}
	// A proxy that writes the dictionary in another way breaks nothing that is signed so.
	x := signable("/?id=7", 0, "X-Dict", "a=1,  b=2")
	sign(t, x, "sig", `("x-dict";sf "@query")`+at(0)+`;keyid="acme"`, mac)
	x.Req.Header.SetName([]byte("X-Dict"), []byte("a=1,b=2"))
	if got := verify(signers(), policy, x); !strings.HasPrefix(got, "pass") {
		t.Error(got)
	}
}

func TestContentDigest(t *testing.T) {
	const body = "a body of some length"
	sum := sha256.Sum256([]byte(body))
	right := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	params := `("@method" "@authority" "@path" "content-digest")` + at(0) + `;keyid="acme"`
	for _, c := range []struct {
		name, digest, body string
		length             int64
		want               string
		got                string
	}{
		{"the body", right, body, int64(len(body)), "pass", body},
		{"in pieces", right, body, -1, "pass", body},
		{"another one", right, "A" + body[1:], int64(len(body)), "pass", "!400 BadRequest the body is not what Content-Digest says"},
		{"another one, in pieces", right, body + "!", -1, "pass", "!400 BadRequest the body is not what Content-Digest says"},
		{"unknown", "md5=:AAAA:", body, int64(len(body)), "401 Content-Digest has neither sha-256 nor sha-512", ""},
		{"none", right, "", 0, "401 the body is not what Content-Digest says", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := signable("/", c.length, "Content-Digest", c.digest)
			if c.length < 0 {
				x.Req.Body = httpmsg.BodyChunked
			}
			sign(t, x, "sig", params, mac)
			a := authentication.New(signing(nil), authentication.Deps{Consumers: signers(), Decisions: counts{}})
			head := "pass"
			if a.OnRequest(x) == filter.Reply {
				head = fmt.Sprintf("%d %s", x.Local.Status, x.Local.Detail)
			}
			if head != c.want {
				t.Fatalf("got %s, want %s", head, c.want)
			}
			r := io.LimitReader(strings.NewReader(c.body), int64(len(c.body)))
			for _, f := range x.RequestBodyFuncs() {
				r = f(r)
			}
			if head != "pass" {
				return
			}
			passed, err := io.ReadAll(r)
			got := string(passed)
			var refusal *filter.Refusal
			if errors.As(err, &refusal) {
				got = fmt.Sprintf("!%d %s %s", refusal.Status, refusal.Reason, refusal.Detail)
				if c.length > 0 && len(passed) > 0 {
					t.Errorf("%d bytes got through", len(passed))
				}
			}
			if got != c.got {
				t.Errorf("got %q, want %q", got, c.got)
			}
		})
	}
	upgrade := signable("/", 5)
	upgrade.Req.Upgrade = []byte("websocket")
	for _, x := range []*filter.Exchange{signable("/", 5), upgrade} {
		sign(t, x, "sig", allOf+at(0)+`;keyid="acme"`, mac)
		if verify(signers(), signing(nil), x); x.Local.Detail != "the signature must cover content-digest" {
			t.Errorf("a body that is not covered: %q", x.Local.Detail)
		}
	}
}
