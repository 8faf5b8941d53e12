package jsonlimit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/jsonlimit"
)

// check gives a text in pieces of n bytes.
func check(l jsonlimit.Limits, text string, n int) error {
	c := jsonlimit.New(l)
	for rest := []byte(text); len(rest) > 0; {
		piece := rest[:min(n, len(rest))]
		if _, err := c.Write(piece); err != nil {
			return err
		}
		rest = rest[len(piece):]
	}
	return c.Close()
}

func TestTexts(t *testing.T) {
	for _, test := range []struct {
		text, want string
	}{
		{`{}`, ""},
		{`[]`, ""},
		{`0`, ""},
		{`-0.5e+10`, ""},
		{`"a"`, ""},
		{` true `, ""},
		{"null\n", ""},
		{`1E2`, ""},
		{`10`, ""},
		{`{"a":[1,{"b":null},"c\n\u00e4\ud83d\ude00"],"d":{}}`, ""},
		{"\t\r\n[1 , 2]", ""},
		{`"ä😀"`, ""},
		{`[[],{}]`, ""},
		{``, "the text ends before the value is complete, at byte 1"},
		{`  `, "the text ends before the value is complete, at byte 3"},
		{`[1,`, "the text ends before the value is complete, at byte 4"},
		{`{"a"`, "the text ends before the value is complete, at byte 5"},
		{`"a`, "the text ends before the value is complete, at byte 3"},
		{`tru`, "the text ends before the value is complete, at byte 4"},
		{`-`, "the text ends before the value is complete, at byte 2"},
		{`1.`, "the text ends before the value is complete, at byte 3"},
		{`1e+`, "the text ends before the value is complete, at byte 4"},
		{`[1,]`, "a value must be an object, an array, a string, a number, true, false or null, at byte 4"},
		{`{"a":1,}`, "a name must be a string, at byte 8"},
		{`{a:1}`, "a name must be a string, at byte 2"},
		{`{"a" 1}`, `a name must be followed by ":", at byte 6`},
		{`[1 2]`, `an element must be followed by "," or "]", at byte 4`},
		{`{"a":1]`, `a member must be followed by "," or "}", at byte 7`},
		{`[1}`, `an element must be followed by "," or "]", at byte 3`},
		{`{} {}`, "something follows the value, at byte 4"},
		{`1 2`, "something follows the value, at byte 3"},
		{`nulL`, "a value must be an object, an array, a string, a number, true, false or null, at byte 4"},
		{`'a'`, "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{"\ufeff{}", "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{`01`, "a number begins with 0 and goes on, at byte 2"},
		{`+1`, "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{`.5`, "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{`1.e1`, "a number needs a digit, at byte 3"},
		{`1e`, "the text ends before the value is complete, at byte 3"},
		{`-a`, "a number needs a digit, at byte 2"},
		{`NaN`, "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{"\"a\nb\"", "a string has a control character, at byte 3"},
		{"\"a\x00\"", "a string has a control character, at byte 3"},
		{`"\x"`, "a string has an escape that JSON does not know, at byte 3"},
		{`"\u12g4"`, `an escape \u in a string needs four hexadecimal digits, at byte 6`},
		{"\"\xff\"", "a string is not UTF-8, at byte 2"},
		{"\"\xc3\"", "a string is not UTF-8, at byte 3"},
		{"\"\xc0\xaf\"", "a string is not UTF-8, at byte 2"},
		{"\"\xed\xa0\x80\"", "a string is not UTF-8, at byte 3"},
		{`"\ud800"`, "an escape in a string is half of a surrogate pair, at byte 8"},
		{`"\ud800a"`, "an escape in a string is half of a surrogate pair, at byte 8"},
		{`"\ud800\n"`, "an escape in a string is half of a surrogate pair, at byte 9"},
		{`"\ud800\ud800"`, "an escape in a string is half of a surrogate pair, at byte 13"},
		{`"\udc00"`, "an escape in a string is half of a surrogate pair, at byte 7"},
		{"// a\n1", "a value must be an object, an array, a string, a number, true, false or null, at byte 1"},
		{"[1]\x00", "something follows the value, at byte 4"},
	} {
		for _, n := range []int{1, 3, 1 << 20} {
			err := check(jsonlimit.Limits{}, test.text, n)
			if fmt.Sprint(err) != test.want && (err != nil || test.want != "") {
				t.Errorf("%q by %d: %v, want %q", test.text, n, err, test.want)
			}
			var e *jsonlimit.Error
			if errors.As(err, &e) && e.Over {
				t.Errorf("%q is over a limit: %v", test.text, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		limits   jsonlimit.Limits
		in, over string
		want     string
	}{
		{jsonlimit.Limits{Depth: 2}, `[[1],{}]`, `[[[`, "objects and arrays are nested deeper than 2, at byte 3"},
		{jsonlimit.Limits{}, strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65), "objects and arrays are nested deeper than 64, at byte 65"},
		{jsonlimit.Limits{Members: 2}, `{"a":{"b":1,"c":2},"d":3}`, `{"a":1,"b":2,"c"`, "an object has more than 2 members, at byte 14"},
		{jsonlimit.Limits{Elements: 2}, `[[1,2],[3,4]]`, `[1,2,3`, "an array has more than 2 elements, at byte 6"},
		{jsonlimit.Limits{Values: 4}, `{"a":[1,2]}`, `[[],[],[],`, ""},
		{jsonlimit.Limits{Values: 3}, `[[],[]]`, `{"a":1,"b":2,"c":3`, "there are more than 3 values, at byte 18"},
		{jsonlimit.Limits{NameBytes: 3}, `{"abc":"abcd"}`, `{"abcd"`, "a name is longer than 3 bytes, at byte 6"},
		{jsonlimit.Limits{NameBytes: 3}, `{"a\n":1}`, `{"a\u0`, "a name is longer than 3 bytes, at byte 6"},
		{jsonlimit.Limits{StringBytes: 3}, `{"abcd":"abc"}`, `["abcd"`, "a string is longer than 3 bytes, at byte 6"},
		{jsonlimit.Limits{NumberBytes: 3}, `[123,-1,1e9]`, `[1234`, "a number is longer than 3 bytes, at byte 5"},
	} {
		if err := check(test.limits, test.in, 1<<10); err != nil {
			t.Errorf("%+v: %s: %v", test.limits, test.in, err)
		}
		_, err := jsonlimit.New(test.limits).Write([]byte(test.over))
		var e *jsonlimit.Error
		if test.want == "" {
			if err != nil {
				t.Errorf("%+v: %s: %v", test.limits, test.over, err)
			}
			continue
		}
		if !errors.As(err, &e) || !e.Over || err.Error() != test.want {
			t.Errorf("%+v: %s: %v, want %s", test.limits, test.over, err, test.want)
		}
	}
}

// Names are the same however they are written, and apart in objects that are apart.
func TestUniqueNames(t *testing.T) {
	var wide strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&wide, `"n%d":{"a":%d},`, i, i)
	}
	unique := jsonlimit.Limits{UniqueNames: true}
	for _, text := range []string{
		`{"a":{"a":1},"b":[{"a":1},{"a":1}],"":0," ":0,"A":1,"\u0000":2}`, `{` + wide.String() + `"a":1}`,
	} {
		for _, n := range []int{1, 1 << 20} {
			if err := check(unique, text, n); err != nil {
				t.Errorf("%.80s: %v", text, err)
			}
		}
	}
	for _, text := range []string{
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"/":1,"\/":2}`, `{"\n":1,"\u000A":2}`, `{"😀":1,"\ud83d\uDE00":2}`, `{"a":{"b":1},"c":[{}],"a":2}`,
		`{"":1,"":2}`, `{` + wide.String() + `"n4711":1}`, `{` + wide.String() + `"n3":1}`, `[{"b":{` + wide.String() + `"x":1},"b":1}]`,
	} {
		for _, n := range []int{1, 5, 1 << 20} {
			if err := check(unique, text, n); err == nil || !strings.HasPrefix(err.Error(), "an object has the same name twice") {
				t.Errorf("%.80s by %d: %v", text, n, err)
			}
		}
		if err := check(jsonlimit.Limits{}, text, 1<<20); err != nil {
			t.Errorf("%.80s where names may repeat: %v", text, err)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	c := jsonlimit.New(jsonlimit.Limits{UniqueNames: true})
	var err error
	_, _ = c.Write([]byte("{"))
	for i := 0; err == nil && i < 1<<20; i++ {
		_, err = fmt.Fprintf(c, `"%d":0,`, i)
	}
	var e *jsonlimit.Error
	if !errors.As(err, &e) || !e.Over {
		t.Errorf("a million names in an object: %v", err)
	}
}

func TestSequences(t *testing.T) {
	l := jsonlimit.Limits{Sequence: true, Values: 2}
	for text, good := range map[string]bool{
		"": true, "{}\n{}\n": true, "{\"a\":1}\n{\"a\":1}\n3 4": true, "[1]\n[1,2]": false, "{}\n{": false, "{},{}": false, "1\n\n": true,
	} {
		for _, n := range []int{1, 1 << 10} {
			if err := check(l, text, n); (err == nil) != good {
				t.Errorf("%q by %d: %v", text, n, err)
			}
		}
	}
}

// The text is JSON for the checker if encoding/json says so, but for what only
// the checker is strict about.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,true,null,"x\u00e4\ud83d\ude00"]}`, `[[[[]]]]`, `"\ud800"`, `{"a":1,"a":2}`, "1 2", "\"\xff\"", `{"a`, "", "-0", "1e400", "\ufeff1",
	} {
		f.Add([]byte(s), uint8(3))
	}
	tight := jsonlimit.Limits{Depth: 3, Members: 3, Elements: 3, Values: 9, NameBytes: 4, StringBytes: 5, NumberBytes: 4, UniqueNames: true}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		if whole, pieces := check(tight, string(text), max(len(text), 1)), check(tight, string(text), int(n)+1); fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Fatalf("whole: %v, by %d: %v", whole, int(n)+1, pieces)
		}
		l := jsonlimit.Limits{Depth: 10000}
		whole := check(l, string(text), max(len(text), 1))
		pieces := check(l, string(text), int(n)+1)
		if fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Fatalf("whole: %v, by %d: %v", whole, int(n)+1, pieces)
		}
		valid := json.Valid(text)
		if whole == nil && !valid {
			t.Fatalf("%q is not JSON", text)
		}
		if whole != nil && valid {
			var e *jsonlimit.Error
			strict := errors.As(whole, &e) && (e.Over || strings.Contains(e.What, "UTF-8") || strings.Contains(e.What, "surrogate"))
			if !strict {
				t.Fatalf("%q is JSON: %v", text, whole)
			}
		}
		unique := check(jsonlimit.Limits{Depth: 10000, UniqueNames: true}, string(text), int(n)+1)
		if whole != nil && unique == nil {
			t.Fatal("a text that is not JSON has unique names")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	var text bytes.Buffer
	text.WriteString(`{"orders":[`)
	for i := range 200 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id":%d,"customer":"customer number %d","total":%d.95,"paid":true,"lines":[{"sku":"A-%d","count":2}]}`, i, i, i, i)
	}
	text.WriteString(`]}`)
	for name, l := range map[string]jsonlimit.Limits{"Plain": {}, "UniqueNames": {UniqueNames: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				c := jsonlimit.New(l)
				if _, err := c.Write(text.Bytes()); err != nil || c.Close() != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
