package stream_test

import (
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/proxy/stream"
)

func TestParseSource(t *testing.T) {
	for value, want := range map[string]string{
		`for="192.0.2.1:4711"`:                 "192.0.2.1:4711",
		`For=192.0.2.1`:                        "192.0.2.1:0",
		`for="[2001:db8::1]:4711"`:             "[2001:db8::1]:4711",
		`for="[2001:db8::1]"`:                  "[2001:db8::1]:0",
		`by=10.0.0.1; for="10.0.0.2:1";host=a`: "10.0.0.2:1",
		`for=192.0.2.1:1, for=192.0.2.2:2`:     "192.0.2.1:1",
		`for="[::ffff:192.0.2.1]:5"`:           "192.0.2.1:5",
		`for=unknown`:                          "",
		`for=_hidden`:                          "",
		`for="fe80::1%eth0"`:                   "",
		`for="`:                                "",
		`for`:                                  "",
		``:                                     "",
	} {
		got := stream.ParseSource([]byte(value))
		if want == "" && got.IsValid() || want != "" && got.String() != want {
			t.Errorf("%s: %s, not %s", value, got, want)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	f.Add([]byte(`by=a;for="[2001:db8::1]:4711", for=192.0.2.1`))
	f.Fuzz(func(t *testing.T, value []byte) {
		got := stream.ParseSource(value)
		if !got.IsValid() {
			return
		}
		again := stream.ParseSource([]byte(`for="` + got.String() + `"`))
		if again != got || got.Addr().Is4In6() || got.Addr() == (netip.Addr{}) {
			t.Fatalf("%q: %s, then %s", value, got, again)
		}
	})
}
