package httpsig_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/gridway/gridway/internal/httpsig"
)

// A signature is read and verified with a handful of allocations: the request that
// has it may be one of many, or one of somebody who has no key at all.
func TestVerifyAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	secret := []byte("a secret of thirty-two bytes or so")
	m := &httpsig.Message{Method: "GET", Scheme: "https", Authority: "example.com", Target: "/a/path?with=query", Field: func(string, func([]byte)) {}}
	const params = `("@method" "@authority" "@path" "@query");created=1790000000;keyid="acme";alg="hmac-sha256";nonce="5f2c"`
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("\"@method\": GET\n\"@authority\": example.com\n\"@path\": /a/path\n\"@query\": ?with=query\n\"@signature-params\": " + params))
	input, signature := "sig1="+params, "sig1=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":"
	key := httpsig.NewSecret(secret)
	verify := func() {
		list, field, err := httpsig.Parse(input, signature)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d signatures, %s %v", len(list), field, err)
		}
		base, err := list[0].Base(m)
		if err != nil || !key.Verify(base, list[0].Bytes) {
			t.Fatalf("not verified: %v\n%s", err, base)
		}
	}
	const ceiling = 8
	if n := testing.AllocsPerRun(100, verify); n > ceiling {
		t.Errorf("%v allocations, want at most %d", n, ceiling)
	} else {
		t.Logf("%v allocations", n)
	}
}

// What is written as nobody would write it has the base that everybody makes of it.
func TestParametersAreWrittenAnew(t *testing.T) {
	for written, want := range map[string]string{
		`( "@method"   "@path" );created=007;keyid="a"`:  `("@method" "@path");created=7;keyid="a"`,
		`("@method");created=7;keyid="a\"b";x;y=?1;z=?0`: `("@method");created=7;keyid="a\"b";x;y;z=?0`,
		`("@method" "@path");created=7;keyid="a"`:        `("@method" "@path");created=7;keyid="a"`,
		`();created=7; keyid="a"`:                        `();created=7;keyid="a"`,
	} {
		list, _, err := httpsig.Parse("s="+written, "s=:YQ==:")
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %v", written, err)
			continue
		}
		base, err := list[0].Base(&httpsig.Message{Method: "GET", Scheme: "http", Authority: "a", Target: "/"})
		if err != nil {
			t.Fatal(err)
		}
		const last = "\"@signature-params\": "
		if got := string(base); len(got) < len(last)+len(want) || got[len(got)-len(last)-len(want):] != last+want {
			t.Errorf("%s: the base ends otherwise than with %s:\n%s", written, want, got)
		}
	}
}
