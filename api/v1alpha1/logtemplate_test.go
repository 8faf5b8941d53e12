package v1alpha1_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/api/v1alpha1"
)

func TestParseLogTemplate(t *testing.T) {
	got, err := v1alpha1.ParseLogTemplate(`${client} "$$5 ${request.headers.X-Tenant}"${response.headers.etag}`)
	want := []v1alpha1.LogPart{{Field: "client"}, {Text: ` "$5 `}, {RequestHeader: "X-Tenant"}, {Text: `"`}, {ResponseHeader: "etag"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"a$b":                            "a dollar sign at character 2",
		"a$":                             "a dollar sign at character 2",
		"${status":                       "${ at character 1 has no }",
		"a${}":                           "at character 2 has no name",
		"${request.headers.}":            "has no name",
		"a\nb":                           "line break at character 2",
		strings.Repeat("${status}", 200): "200 parts",
	} {
		if _, err := v1alpha1.ParseLogTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseLogTemplate(f *testing.F) {
	for _, s := range []string{"", "${status}", "$$", "a${request.headers.x}b", "${", "$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := v1alpha1.ParseLogTemplate(s)
		if err != nil {
			return
		}
		var b strings.Builder // what was read says the same when it is written again
		for _, p := range parts {
			switch {
			case p.RequestHeader != "":
				b.WriteString("${request.headers." + p.RequestHeader + "}")
			case p.ResponseHeader != "":
				b.WriteString("${response.headers." + p.ResponseHeader + "}")
			case p.Field != "":
				b.WriteString("${" + p.Field + "}")
			default:
				b.WriteString(strings.ReplaceAll(p.Text, "$", "$$"))
			}
		}
		if b.String() != s {
			t.Errorf("%q became %q", s, b.String())
		}
	})
}
