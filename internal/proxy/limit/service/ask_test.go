package service

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
)

func charges() []limit.Charge {
	hourly := &ir.RateLimit{Policy: "default/api", Name: "hourly", Rate: &ir.Rate{Units: 300, Period: time.Hour, Burst: 300}}
	weekly := &ir.RateLimit{Policy: "default/api", Name: "weekly", Quota: &ir.Quota{Amount: 7, Window: ir.QuotaWeek}}
	return []limit.Charge{{Cfg: hourly, Cost: 2, Parts: []limit.Part{{Name: "x", Value: "y\xff"}}}, {Cfg: weekly, Cost: 2}}
}

// TestQuestion compares with what the fields of ratelimit.proto and rls.proto say,
// written by hand.
func TestQuestion(t *testing.T) {
	t.Parallel()
	c := charges()
	want := "0a01" + hexOf("d") +
		"1235" + "0a21" + "0a0b" + hexOf("generic_key") + "1212" + hexOf("default/api/hourly") +
		"0a09" + "0a01" + hexOf("x") + "1204" + hexOf("y\uFFFD") + "1205" + "08ac02" + "1003" +
		"1223" + "0a21" + "0a0b" + hexOf("generic_key") + "1212" + hexOf("default/api/weekly") +
		"1802"
	if got := hex.EncodeToString(question("d", c)); got != want {
		t.Errorf("%s\n%s", got, want)
	}
	c[1].Cost = 0 // costs that differ are told by each descriptor
	got := question("d", c)
	if !bytes.Contains(got, []byte{0x1a, 2, 8, 2}) || !bytes.Contains(got, []byte{0x1a, 2, 8, 0}) || bytes.HasSuffix(got, []byte{0x18, 2}) {
		t.Errorf("%x", got)
	}
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func statusOf(code, remaining, seconds uint64) []byte {
	s := number(within(number(nil, statusCode, code), statusLimit, number(nil, 1, 5)), statusRemaining, remaining)
	return within(s, statusReset, number(number(nil, durationSeconds, seconds), durationNanos, 5e8))
}

func headerOf(name, value string) []byte { return text(text(nil, headerKey, name), headerValue, value) }

func TestAnswer(t *testing.T) {
	t.Parallel()
	b := number(nil, responseCode, codeOverLimit)
	b = within(within(b, responseStatuses, statusOf(codeOverLimit, 0, 9)), responseStatuses, statusOf(codeOK, 3, 60))
	b = within(b, responseHeaders, headerOf("X-Left", "3"))
	b = within(b, responseHeaders, headerOf("Connection", "close"))
	b = within(b, responseRequestHeaders, headerOf("x-asked", "yes"))
	a, err := parse(b)
	if err != nil || len(a.response) != 1 || len(a.request) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	c := charges()
	if err := a.tell(c); err != nil || !c[0].Refused || c[1].Refused || c[0].Said.After != 9500*time.Millisecond || c[1].Said.Left != 3 || c[0].Unlimited || c[1].Unlimited {
		t.Errorf("%+v, %v", c, err)
	}
	for name, wrong := range map[string][]byte{
		"no code":           nil,
		"an unknown code":   number(nil, responseCode, 7),
		"too few statuses":  within(number(nil, responseCode, codeOK), responseStatuses, statusOf(codeOK, 1, 1)),
		"a line in a value": within(number(nil, responseCode, codeOK), responseHeaders, headerOf("X-A", "a\r\nX-B: c")),
		"no name":           within(number(nil, responseCode, codeOK), responseHeaders, headerOf("", "a")),
		"a pseudo-header":   within(number(nil, responseCode, codeOK), responseHeaders, headerOf(":status", "200")),
		"cut short":         b[:len(b)-1],
	} {
		a, err := parse(wrong)
		if err == nil {
			err = a.tell(charges())
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// One that says no more than whether.
	a, _ = parse(number(nil, responseCode, codeOverLimit))
	if err := a.tell(c); err != nil || !c[0].Refused || !c[1].Refused {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzAnswer: whatever a server says is bounded, and what is accepted says something
// of every limit.
func FuzzAnswer(f *testing.F) {
	f.Add(within(within(number(nil, responseCode, codeOverLimit), responseStatuses, statusOf(2, 0, 9)), responseStatuses, statusOf(1, 3, 60)))
	f.Add(within(number(nil, responseCode, codeOK), responseHeaders, headerOf("X-Left", "3")))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parse(b)
		if err != nil {
			return
		}
		if len(a.response) > maxHeaders || len(a.request) > maxHeaders || len(a.statuses) > maxLimits {
			t.Fatal("it is too long")
		}
		for _, h := range append(a.response, a.request...) {
			if bytes.ContainsAny(h.value, "\r\n\x00") || len(h.name) == 0 {
				t.Fatalf("%q: %q", h.name, h.value)
			}
		}
		c := charges()
		if a.tell(c) == nil {
			for i := range c {
				if c[i].Said == nil || c[i].Said.OK == c[i].Refused || c[i].Said.After < 0 {
					t.Fatalf("%+v", c[i])
				}
			}
		}
	})
}
