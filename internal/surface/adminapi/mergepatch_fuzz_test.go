package adminapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzMergePatch: what RFC 7396 says of each member holds of the outcome, and the
// same patch changes nothing more.
func FuzzMergePatch(f *testing.F) {
	for _, c := range [][2]string{ // RFC 7396, appendix A
		{`{"a":"b"}`, `{"a":"c"}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`},
		{`{"a":"foo"}`, `null`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`},
		{`{"a":1e400}`, `{"a":{"b":null}} x`},
	} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, text, patch []byte) {
		out, err := mergePatch(text, patch)
		if err != nil {
			return
		}
		holds(t, decoded(t, out), decoded(t, patch))
		again, err := mergePatch(out, patch)
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("%s by %s is %s, and then %s, %v", text, patch, out, again, err)
		}
	})
}

func decoded(t *testing.T, text []byte) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// holds compares an outcome with the patch that it came from.
func holds(t *testing.T, out, patch map[string]any) {
	t.Helper()
	for name, v := range patch {
		got, has := out[name]
		switch v := v.(type) {
		case nil:
			if has {
				t.Errorf("%q is still there", name)
			}
		case map[string]any:
			inner, ok := got.(map[string]any)
			if !ok {
				t.Errorf("%q is %v and no object", name, got)
			}
			holds(t, inner, v)
		default:
			if !reflect.DeepEqual(got, v) {
				t.Errorf("%q is %v, and the patch says %v", name, got, v)
			}
		}
	}
}
