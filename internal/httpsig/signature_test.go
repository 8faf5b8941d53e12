package httpsig_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/httpsig"
)

const someSignature = "a=:AAAA:"

func TestForm(t *testing.T) {
	for _, c := range []struct{ input, signature, want string }{
		{`a=("@method");created=1`, someSignature, ""},
		{`a=( "@method"   "x" ); created=1;x`, someSignature, ""},
		{`a=("x" "x";bs)`, someSignature, ""},
		{``, ``, ""},
		{`a=("@method";)`, someSignature, "Signature-Input is not"},
		{`a=("@method"`, someSignature, "Signature-Input is not"},
		{`a=("@method""x")`, someSignature, "Signature-Input is not"},
		{`a=(@method)`, someSignature, "Signature-Input has a component that"},
		{`a=("Date")`, someSignature, "Signature-Input has a component that"},
		{`a=("")`, someSignature, "Signature-Input has a component that"},
		{`a=("x" "x")`, someSignature, "Signature-Input has a name twice"},
		{`a=("x");created=1;created=2`, someSignature, "Signature-Input has a name twice"},
		{`a=("x"), a=("y")`, someSignature, "Signature-Input has a name twice"},
		{`a=("x");created="1"`, someSignature, "Signature-Input is not"},
		{`a=("x");created=1.0`, someSignature, "Signature-Input is not"},
		{`a=("x");keyid=x`, someSignature, "Signature-Input is not"},
		{`a=("x"),`, someSignature, "Signature-Input is not"},
		{`a`, someSignature, "Signature-Input has a member that is no list"},
		{`a="x"`, someSignature, "Signature-Input has a member that is no list"},
		{`A=("x")`, someSignature, "Signature-Input is not"},
		{`a=("x` + "\x00" + `")`, someSignature, "Signature-Input is not"},
		{`a=("x");created=1234567890123456`, someSignature, "Signature-Input is not"},
		{`a=("x")`, `a=AAAA`, "Signature is not"},
		{`a=("x")`, `a=:AAA:`, "Signature is not"},
		{`a=("x")`, `a=:AAAA:, a=:BBBB:`, "Signature has a name twice"},
		{`a=("x");p="` + strings.Repeat("x", httpsig.MaxField) + `"`, someSignature, "Signature-Input is longer"},
		{`a=("x")` + strings.Repeat(";x", 20), someSignature, "Signature-Input has a name twice"},
		{manyMembers(), someSignature, "Signature-Input has too many"},
		{manyComponents(), someSignature, "Signature-Input has too many"},
	} {
		_, field, err := httpsig.Parse(c.input, c.signature)
		got := ""
		if err != nil {
			got = field + " " + err.Error()
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.input, got, c.want)
		}
	}
}

func manyMembers() string {
	var list []string
	for i := range 40 {
		list = append(list, "k"+strings.Repeat("x", i)+`=("x")`)
	}
	return strings.Join(list, ",")
}

func manyComponents() string {
	var b strings.Builder
	for i := range 70 {
		b.WriteString(` "` + strings.Repeat("x", i+1) + `"`)
	}
	return "a=(" + b.String() + ")"
}

// What is signed is the canonical form of the parameters, however they are written.
func TestParameters(t *testing.T) {
	m := message("GET", "http", "/", "X: a", "Y: b")
	for written, want := range map[string]string{
		`( "x"   "y";bs=?1 );  created=007;a=-0`: `("x" "y";bs);created=7;a=0`,
		`();n=01.500;m=-0.0;d=@-05;t=a/b*;b=?0`:  `();n=1.5;m=0.0;d=@-5;t=a/b*;b=?0`,
		`();s="\\\"";x=:AQ==:;y`:                 `();s="\\\"";x=:AQ==:;y`,
	} {
		s := parse(t, "a="+written, someSignature+";p")
		base, err := s.Base(m)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(base), "\n")
		if got := strings.TrimPrefix(lines[len(lines)-1], `"@signature-params": `); got != want {
			t.Errorf("%s: got %s, want %s", written, got, want)
		}
	}
}

func TestBase(t *testing.T) {
	m := message("GET", "https", "/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&twice=1&twice=2&bad=%zz",
		"X-Lines:  one ", "X-Lines: two,three", "X-Empty:", "Cookie: a=b", "Cookie: c=d")
	for _, c := range []struct{ component, want string }{
		{`"@method"`, "GET"},
		{`"@scheme"`, "https"},
		{`"@authority"`, "example.com"},
		{`"@path"`, "/parameters"},
		{`"@request-target"`, m.Target},
		{`"@target-uri"`, "https://example.com" + m.Target},
		{`"@query"`, m.Target[len("/parameters"):]},
		// RFC 9421 §2.2.8
		{`"@query-param";name="var"`, "this%20is%20a%20big%0Amultiline%20value"},
		{`"@query-param";name="bar"`, "with%20plus%20whitespace"},
		{`"@query-param";name="fa%C3%A7ade%22%3A%20"`, "something"},
		{`"@query-param";name="bad"`, "%25zz"},
		{`"@query-param";name="twice"`, "!" + httpsig.ErrAbsent.Error()},
		{`"@query-param";name="none"`, "!" + httpsig.ErrAbsent.Error()},
		{`"x-lines"`, "one, two,three"},
		{`"x-lines";bs`, ":b25l:, :dHdvLHRocmVl:"},
		{`"x-empty"`, ""},
		{`"cookie"`, "a=b; c=d"},
		{`"x-none"`, "!" + httpsig.ErrAbsent.Error()},
		{`"@query-param"`, "!" + httpsig.ErrUnsupported.Error()},
		{`"@status"`, "!" + httpsig.ErrUnsupported.Error()},
		{`"@method";req`, "!" + httpsig.ErrUnsupported.Error()},
		{`"x-lines";sf`, "!" + httpsig.ErrUnknownStructure.Error()},
		{`"x-lines";key="a"`, "!" + httpsig.ErrStructure.Error()},
		{`"x-lines";bs;sf`, "!" + httpsig.ErrUnsupported.Error()},
		{`"x-lines";key="a";bs`, "!" + httpsig.ErrUnsupported.Error()},
		{`"x-lines";key=a`, "!" + httpsig.ErrUnsupported.Error()},
		{`"x-lines";tr`, "!" + httpsig.ErrUnsupported.Error()},
		{`"x-lines";bs=?0`, "!" + httpsig.ErrUnsupported.Error()},
	} {
		s := parse(t, "a=("+c.component+");created=1", someSignature)
		base, err := s.Base(m)
		got := "!" + errorText(err)
		if err == nil {
			got, _, _ = strings.Cut(strings.TrimPrefix(string(base), c.component+": "), "\n")
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.component, got, c.want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ scheme, authority, target, want string }{
		{"https", "example.com:443", "/?", `("@authority" "@path" "@query" "@target-uri")example.com / ? https://example.com/?`},
		{"https", "example.com:8443", "/", `("@authority" "@path" "@query" "@target-uri")example.com:8443 / ? https://example.com:8443/`},
		{"http", "example.com:80", "http://example.com:80?x", `("@authority" "@path" "@query" "@target-uri")example.com / ?x http://example.com/?x`},
		{"http", "example.com", "http://EXAMPLE.com/a/../b", `("@authority" "@path" "@query" "@target-uri")example.com /a/../b ? http://example.com/a/../b`},
		{"http", "example.com", "*", `("@authority" "@path" "@query" "@target-uri")example.com * ? http://example.com*`},
	} {
		list, value, _ := strings.Cut(c.want, ")")
		s := parse(t, "a="+list+")", someSignature)
		m := message("GET", c.scheme, c.target)
		m.Authority = c.authority
		base, err := s.Base(m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range strings.Split(string(base), "\n")[:4] {
			_, v, _ := strings.Cut(line, ": ")
			got = append(got, v)
		}
		if strings.Join(got, " ") != value {
			t.Errorf("%s: got %q, want %q", c.target, got, value)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		list, name string
		want       bool
	}{
		{`("@method")`, "@method", true},
		{`("@method")`, "@path", false},
		{`("@target-uri")`, "@authority", true},
		{`("@request-target")`, "@query", true},
		{`("@request-target")`, "@authority", false},
		{`("@query-param";name="a")`, "@query", false},
		{`("@query-param";name="a")`, `@query-param;name="a"`, true},
		{`("@query-param";name="a")`, `@query-param;name="b"`, false},
		{`("@query")`, `@query-param;name="a"`, true},
		{`("x";bs)`, "x", true},
		{`("x";sf)`, "x;bs", true},
		{`("x")`, `x;key="a"`, true},
		{`("x";key="a")`, `x;key="a"`, true},
		{`("x";key="a";sf)`, `x;sf;key="a"`, false},
		{`("x";key="b")`, `x;key="a"`, false},
		{`("x";key="a")`, "x", false},
	} {
		want, err := httpsig.ParseComponent(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if s := parse(t, "a="+c.list, someSignature); s.Covers(&want) != c.want {
			t.Errorf("%s of %s: want %t", c.name, c.list, c.want)
		}
	}
}

// RFC 9530 appendix B.
func TestDigest(t *testing.T) {
	const body = "{\"hello\": \"world\"}\n"
	const right = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
	for _, c := range []struct{ field, body, want string }{
		{right, body, "right"},
		{right, body[1:], "wrong"},
		{right + ", md5=:AAAA:", body, "right"},
		{right + ", sha-512=:" + base64.StdEncoding.EncodeToString(make([]byte, 64)) + ":", body, "wrong"},
		{"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", "", "right"},
		{"sha-256=:AAAA:", "", "has a digest of the wrong length"},
		{"md5=:AAAA:", "", "has neither sha-256 nor sha-512"},
		{"sha-256=abc", "", "is not a structured field as RFC 9421 wants it"},
	} {
		d, err := httpsig.ParseDigest(c.field)
		got := errorText(err)
		if err == nil {
			for _, b := range []byte(c.body) {
				d.Write([]byte{b})
			}
			if got = "wrong"; d.Matches() {
				got = "right"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.field, got, c.want)
		}
	}
}

// FuzzSignature holds the parser to this: what it has read, written in the canonical
// form, is read as the same.
func FuzzSignature(f *testing.F) {
	f.Add(`a=("@method" "x";bs "@query-param";name="a\"b");created=1;keyid="k";alg="hmac-sha256";x=:AA==:;y=?0;z=tok;w=-1.50;d=@5`, "a=:AAAA:", "/p?a=b&a%22b=c+d")
	f.Add(`a=(), b=("x")`, "a=:AAAA:, b=:BBBB:;p", "*")
	f.Add(`a=("@target-uri" "@query")`, "a=:AAAA:", "http://h?x")
	f.Fuzz(func(t *testing.T, input, signature, target string) {
		list, _, err := httpsig.Parse(input, signature)
		if err != nil {
			return
		}
		m := message("GET", "http", target, "X: a", "x:b")
		for i := range list {
			base, err := list[i].Base(m)
			if err != nil {
				continue
			}
			params := string(base[strings.LastIndex(string(base), "\n\"@signature-params\": ")+1:])
			params = strings.TrimPrefix(params, `"@signature-params": `)
			again, field, err := httpsig.Parse("a="+params, someSignature)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q cannot be read again: %s %v", params, field, err)
			}
			twice, err := again[0].Base(m)
			if err != nil || string(twice) != string(base) {
				t.Fatalf("%q has become %q: %v", base, twice, err)
			}
		}
		_, _ = httpsig.ParseDigest(signature)
	})
}
