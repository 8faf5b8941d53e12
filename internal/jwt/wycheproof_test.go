package jwt

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The vectors of Project Wycheproof for signatures, of the algorithms that are
// verified fast enough for a test with the race detector, as a version that module
// proxies have; the sum is that of its content.
const (
	wycheproof    = "github.com/google/wycheproof@v0.0.0-20191219022705-2196000605e4"
	wycheproofSum = "h1:/jhsqtCSTRK25HsqYePIHeLbPIDBwVOANhQmWRdgsyA="
)

type vectors struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		JWK    map[string]any `json:"jwk"`
		KeyJWK map[string]any `json:"keyJwk"`
		N      string         `json:"n"`
		E      string         `json:"e"`
		SHA    string         `json:"sha"`
		MGF    string         `json:"mgfSha"`
		Salt   json.Number    `json:"sLen"`
		Tests  []struct {
			ID      int    `json:"tcId"`
			Comment string `json:"comment"`
			Message string `json:"msg"`
			Sig     string `json:"sig"`
			Result  string `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

func TestWycheproof(t *testing.T) {
	folder := download(t)
	total := 0
	for _, c := range []struct {
		file      string
		algorithm Algorithm
	}{
		{"ecdsa_secp256r1_sha256_p1363", ES256},
		{"eddsa", EdDSA},
		{"rsa_signature_2048_sha256", RS256},
		{"rsa_pss_2048_sha256_mgf1_32", PS256},
		{"rsa_pss_2048_sha256_mgf1_0", PS256}, // of salts that are too short
	} {
		text, err := os.ReadFile(filepath.Join(folder, "testvectors", c.file+"_test.json"))
		if err != nil {
			t.Fatal(err)
		}
		var v vectors
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		for i := range v.TestGroups {
			g := &v.TestGroups[i]
			k, err := readKey(jwkOf(t, g.JWK, g.KeyJWK, g.N, g.E))
			if err != nil {
				t.Fatalf("%s: %v", c.file, err)
			}
			// RFC 7518 §3.5: the salt is as long as the hash.
			foreign := g.Salt != "" && g.Salt.String() != map[Algorithm]string{PS256: "32", PS384: "48", PS512: "64"}[c.algorithm]
			for _, one := range g.Tests {
				total++
				message, _ := hex.DecodeString(one.Message)
				sig, _ := hex.DecodeString(one.Sig)
				got := k.verify(&Token{Algorithm: c.algorithm, signed: message, signature: sig})
				if one.Result == "acceptable" && !got {
					continue
				}
				if foreign && one.Result == "invalid" {
					continue // it may have the right salt
				}
				if want := one.Result != "invalid" && !foreign; got != want {
					t.Errorf("%s %d (%s): %v, want %v", c.file, one.ID, one.Comment, got, want)
				}
			}
		}
	}
	if total < 700 {
		t.Errorf("only %d vectors were tried", total)
	}
}

func jwkOf(t *testing.T, one, other map[string]any, n, e string) map[string]any {
	t.Helper()
	switch {
	case one != nil:
		delete(one, "d") // of EdDSA, whose groups have the whole pair
		return one
	case other != nil:
		delete(other, "alg")
		return other
	}
	number := func(text string) string {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return encoding.EncodeToString(b)
	}
	return map[string]any{"kty": "RSA", "n": number(n), "e": number(e)}
}

// download finds the vectors in the cache of modules, or gets them there.
func download(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", wycheproof).Output()
	var m struct{ Dir, Sum, Error string }
	if bad := json.Unmarshal(out, &m); err != nil || bad != nil {
		t.Skipf("%s cannot be had (%v): %s", wycheproof, err, strings.TrimSpace(m.Error))
	}
	if m.Sum != wycheproofSum {
		t.Fatalf("%s has sum %s, and not %s", wycheproof, m.Sum, wycheproofSum)
	}
	return m.Dir
}
