package tap_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/tap"
)

func TestDefaults(t *testing.T) {
	q, err := tap.Parse("")
	if err != nil {
		t.Fatal(err)
	}
	if q.Sample != 1 || q.Rate != tap.DefaultRate || q.For != tap.DefaultFor || q.Failed != nil {
		t.Errorf("%+v", q)
	}
}

func TestQueriesThatAreWrong(t *testing.T) {
	for query, want := range map[string]string{
		"statsu=404":                     `"statsu" is no parameter of a tap; there are route, to, from`,
		"status=":                        "status has 1 to 512 bytes",
		"status=9xx":                     "neither a status such as 404, nor a class such as 5xx, nor a range",
		"status=504-500":                 "neither a status",
		"status=99":                      "neither a status",
		"path=api":                       "begins neither with / nor with ~",
		"path=~(":                        `"(" is no expression of RE2`,
		"path=~" + "(a{1000}){1000}":     "is no expression of RE2",
		"direction=north":                `"north" is not one of edge, inbound, outbound`,
		"protocol=smtp":                  "is not one of http, grpc",
		"grpcStatus=gone":                `"gone" is no status of gRPC, such as UNAVAILABLE or 14`,
		"grpcStatus=17":                  "is no status of gRPC",
		"header=a b":                     `"a b" is no name of a header field`,
		"header=:x":                      "the name of a header field is missing",
		"header=authorization:x":         "carries credentials: ask whether it is there, without a value",
		"header=X-Api-Key:~a.*":          "carries credentials",
		"header=cookie:a*":               "carries credentials",
		"slower=fast":                    "is no duration such as 250ms",
		"slower=-1s":                     "is no duration",
		"failed=yes":                     "is neither true nor false",
		"sample=0":                       "is not more than 0 and 1 at most",
		"sample=1.5":                     "is not more than 0 and 1 at most",
		"sample=NaN":                     "is not more than 0 and 1 at most",
		"rate=0":                         "is not 1 to 5000 events per second",
		"rate=5001":                      "is not 1 to 5000 events per second",
		"for=2h":                         "is no duration of 1h at most",
		"for=0s":                         "is no duration",
		"open=perhaps":                   "is neither true nor false",
		"record=all":                     "is neither masked nor hashed",
		"show=a:b":                       "is no name of a header field",
		"%zz":                            "is no query of a URL",
		"to=" + strings.Repeat("x", 513): "to has 1 to 512 bytes",
		strings.TrimSuffix(strings.Repeat("to=x&", 17), "&"): "to is there 17 times, and may be 16 times",
	} {
		_, err := tap.Parse(query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", query, err, want)
		}
	}
}

func TestParametersAreAllRead(t *testing.T) {
	values := url.Values{
		"route": {"a"}, "to": {"b"}, "from": {"c"}, "direction": {"Edge"}, "protocol": {"GRPC"}, "host": {"*.x"}, "method": {"get"}, "path": {"/a", "/b*", "~/c.*"},
		"status": {"404", "5XX", "200-204"}, "grpcStatus": {"unavailable"}, "header": {"X-A", "X-B: v"}, "consumer": {"n"}, "policy": {"p"}, "slower": {"1ms"}, "open": {"true"},
		"failed": {"true"}, "denied": {"false"}, "show": {"X-C"}, "record": {"hashed"}, "sample": {"0.5"}, "rate": {"5000"}, "for": {"1h"},
	}
	for _, p := range tap.Parameters() {
		if _, has := values[p.Name]; !has {
			t.Errorf("%s is not tried", p.Name)
		}
		if p.About == "" {
			t.Errorf("%s is not described", p.Name)
		}
	}
	q, err := tap.FromValues(values)
	if err != nil {
		t.Fatal(err)
	}
	if !*q.Failed || *q.Denied || q.Slower != time.Millisecond || q.Methods[0] != "GET" || q.GRPCStatus[0] != "UNAVAILABLE" || q.Show[0] != "x-c" || len(q.Paths) != 3 ||
		len(q.Status) != 3 || q.Status[1] != (tap.StatusRange{From: 500, To: 599}) || q.Headers[1].Value == nil {
		t.Errorf("%+v", q)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "status=5xx&path=/a*", "header=X:~a.*&show=b", "sample=0.1&rate=7&for=1s", "to=a/b&from=spiffe://d/ns/a/sa/b", "=&;", "%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := tap.Parse(s)
		if err != nil {
			if len(err.Error()) > 4096 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if q.Rate < 1 || q.Rate > tap.MaxRate || q.For <= 0 || q.For > tap.MaxFor || !(q.Sample > 0 && q.Sample <= 1) {
			t.Errorf("out of bounds: %+v", q)
		}
		// What was taken may be offered anything.
		set := tap.New(tap.Options{})
		look, err := set.Start(q)
		if err != nil {
			t.Fatal(err)
		}
		set.Offer(seen(s))
		look.End()
	})
}
