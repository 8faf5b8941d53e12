package x500_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/x500"
)

// Among them are the examples of RFC 4514 §4.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "",
		" ":                                      "",
		"UID=jsmith,DC=example,DC=net":           "UID=jsmith,DC=example,DC=net",
		"OU=Sales+CN=J.  Smith,DC=example":       "CN=J.  Smith+OU=Sales,DC=example",
		`CN=James \"Jim\" Smith\, III,DC=net`:    `CN=James \"Jim\" Smith\, III,DC=net`,
		`CN=Before\0dAfter,DC=example`:           `CN=Before\0DAfter,DC=example`,
		"1.3.6.1.4.1.1466.0=#04024869":           "1.3.6.1.4.1.1466.0=#04024869",
		`CN=Lu\C4\8Di\C4\87`:                     `CN=Lu\C4\8Di\C4\87`,
		"CN=Lučić":                               `CN=Lu\C4\8Di\C4\87`,
		"cn = ada , o = Shop":                    "CN=ada,O=Shop",
		"2.5.4.3=ada":                            "CN=ada",
		"CN=#0c03616461":                         "CN=ada",
		`CN=\ ada\ ,O=\#1`:                       `CN=\ ada\ ,O=\#1`,
		"CN=a=b":                                 "CN=a=b",
		"CN=,O=x":                                "CN=,O=x",
		"emailAddress=a@b.example,E=c@d.example": "emailAddress=a@b.example,emailAddress=c@d.example",
	} {
		n, err := x500.Parse(text)
		if err != nil || n.String() != want {
			t.Errorf("%q: %q, %v; want %q", text, n.String(), err, want)
		}
	}
	for text, want := range map[string]string{
		"ada":                             "TYPE=VALUE",
		"CN=ada,":                         "TYPE=VALUE",
		"=ada":                            "TYPE=VALUE",
		"nick=ada":                        `"nick" is not the type`,
		"3=ada":                           "not an object identifier",
		"1.02=ada":                        "not the type",
		`CN=a"b`:                          "must be escaped",
		"CN=a;O=b":                        "must be escaped",
		`CN=a\`:                           "backslash",
		`CN=a\zz`:                         "backslash",
		`CN=\FF`:                          "UTF-8",
		"CN=#zz":                          "hexadecimal",
		"CN=#0c05":                        "DER",
		strings.Repeat("CN=a,", 70):       "attributes",
		"CN=" + strings.Repeat("a", 5000): "bytes",
	} {
		if _, err := x500.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestFromDER(t *testing.T) {
	der, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Shop, Inc."}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "b"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "a"}},
		{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("a@b.example")}}},
		{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: 7}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "ada"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := x500.FromDER(der)
	const want = `CN=ada,1.2.3=#020107,emailAddress=a@b.example,OU=a+OU=b,O=Shop\, Inc.`
	if err != nil || n.String() != want {
		t.Errorf("%q, %v", n.String(), err)
	}
	if got := n.Values("OU"); !slices.Equal(got, []string{"a", "b"}) || n.Values("1.2.3") != nil {
		t.Errorf("%q", got)
	}
	again, err := x500.Parse(want)
	if err != nil || again.String() != want {
		t.Errorf("read again: %q, %v", again.String(), err)
	}
	for _, bad := range [][]byte{nil, {0x30}, append(slices.Clone(der), 0), []byte("CN=ada")} {
		if _, err := x500.FromDER(bad); err == nil {
			t.Errorf("%x is a name", bad)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"CN=ada,OU=Payments+O=Shop", `CN=\ a\2C\,,1.2.3=#020107`, "cn = #0c03616461", ",", "CN=a+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := x500.Parse(text)
		if err != nil {
			return
		}
		said := n.String()
		again, err := x500.Parse(said)
		if len(said) > x500.MaxText {
			return
		}
		if err != nil || again.String() != said {
			t.Fatalf("%q became %q, and that %q, %v", text, said, again.String(), err)
		}
		for i := range len(said) {
			if said[i] < ' ' || said[i] >= 0x7f {
				t.Fatalf("%q cannot stand in a header", said)
			}
		}
	})
}
