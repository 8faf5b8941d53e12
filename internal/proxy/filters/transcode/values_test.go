package transcode

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
)

// split gives a splitter the text in pieces of n bytes.
func split(text string, n int, noArray bool) (list []string, err error) {
	s := splitter{noArray: noArray}
	r := bytes.NewReader([]byte(text))
	end := false
	for {
		value, err := s.next(end)
		switch {
		case err != nil:
			return list, err
		case value != nil:
			list = append(list, string(value))
			continue
		case end:
			return list, nil
		}
		room := s.room(n)
		k, err := r.Read(room[:min(n, len(room))])
		s.filled(k)
		end = err == io.EOF
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		bad  bool
	}{
		{"", nil, false},
		{" \r\n", nil, false},
		{`{"a":1}`, []string{`{"a":1}`}, false},
		{"{\"a\":1}\n\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}, false},
		{`{}{"}":"{\"\\"} {"a":[{}]}`, []string{`{}`, `{"}":"{\"\\"}`, `{"a":[{}]}`}, false},
		{"{\n \"a\": 1\n}\n{}", []string{"{\n \"a\": 1\n}", "{}"}, false},
		{`[]`, nil, false},
		{` [ {"a":"]"} , {} ] `, []string{`{"a":"]"}`, `{}`}, false},
		{`["x",1,true,null]`, []string{`"x"`, "1", "true", "null"}, false},
		{"1 2\n3", []string{"1", "2", "3"}, false},
		{`"a""b"1"c"`, []string{`"a"`, `"b"`, "1", `"c"`}, false},
		{`{"a":`, []string{`{"a":`}, false}, // no message can be made of it
		{`[{}`, []string{`{}`}, true},
		{`[`, nil, true},
		{`[{},]`, []string{`{}`}, true},
		{`[,{}]`, nil, true},
		{`[{} {}]`, []string{`{}`}, true},
		{`[{}] {}`, []string{`{}`}, true},
		{`{},{}`, []string{`{}`}, true},
		{`{} [{}]`, []string{`{}`, `[{}]`}, false}, // no message either
		{`]`, nil, true},
		{`}`, nil, true},
		{`1:2`, []string{"1"}, true},
	} {
		for n := 1; n <= len(c.text)+1; n++ {
			got, err := split(c.text, n, false)
			if !slices.Equal(got, c.want) || (err != nil) != c.bad {
				t.Errorf("%q by %d: %q, %v; want %q", c.text, n, got, err, c.want)
				break
			}
		}
	}
	if got, err := split(`[1,2] [3]`, 100, true); err != nil || !slices.Equal(got, []string{"[1,2]", "[3]"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzValues: pieces make no difference, and what is JSON is split as encoding/json does.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`{"a":1}{"b":[2]} "x\"" 3`, `[{"a":1},{}]`, `[1,"]",[2]]`, "{}\n{}\n", `[`, `{"a"`, `1:`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<12 {
			return
		}
		whole, err := split(text, len(text)+1, false)
		pieces, err2 := split(text, 1, false)
		if !slices.Equal(whole, pieces) || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %q %v, by bytes %q %v", text, whole, err, pieces, err2)
		}
		var list []json.RawMessage
		if json.Unmarshal([]byte(text), &list) == nil && list != nil {
			if err != nil || len(whole) != len(list) {
				t.Fatalf("%q: %q, %v; want %q", text, whole, err, list)
			}
			for i := range list {
				if whole[i] != string(list[i]) {
					t.Fatalf("%q: %q, want %q", text, whole, list)
				}
			}
		}
	})
}
