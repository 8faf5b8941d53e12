package federation_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/federation"
)

func TestParseRelation(t *testing.T) {
	r, err := federation.ParseRelation("west.example=https://west:15012/,endpoint=spiffe://west.example/gridway/control,bundle=/etc/west.json")
	if err != nil || r.TrustDomain != "west.example" || r.URL != "https://west:15012/" || r.Profile != federation.SPIFFE ||
		r.EndpointID != "spiffe://west.example/gridway/control" || r.BundleFile != "/etc/west.json" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := federation.ParseRelation("west.example=https://west/"); err != nil || r.Profile != federation.Web {
		t.Errorf("%+v, %v", r, err)
	}
	for text, want := range map[string]string{
		"west.example":                                  "there is no =",
		"WEST=https://west/":                            "WEST",
		"west.example=http://west/":                     "must begin with https://",
		"west.example=https://west/,color=red":          `"color" is not known`,
		"west.example=https://west/,bundle=":            "must be given once, with a value",
		"west.example=https://west/,bundle=a,bundle=b":  "must be given once",
		"west.example=https://west/,endpoint=somewhere": "endpointID",
	} {
		if _, err := federation.ParseRelation(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseRelation(f *testing.F) {
	f.Add("west.example=https://west:15012/,endpoint=spiffe://west.example/gridway/control,bundle=/etc/west.json")
	f.Add("west.example=https://west/")
	f.Add("a=b,c=d")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := federation.ParseRelation(text); err == nil && !strings.HasPrefix(strings.ToLower(r.URL), "https://") {
			t.Errorf("%q is fetched from %q", text, r.URL)
		}
	})
}
