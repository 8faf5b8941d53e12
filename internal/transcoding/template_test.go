package transcoding_test

import (
	"testing"

	"github.com/gridway/gridway/internal/transcoding"
)

// The templates of google/api/http.proto and of the APIs of Google.
func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"/":                         "/",
		"/v1/messages/{message_id}": "/v1/messages/*",
		"/v1/{name=messages/*}":     "/v1/messages/*",
		"/v1/messages/{message_id}/{sub.subfield}":                      "/v1/messages/*/*",
		"/v1/users/{user_id}/messages/{message_id}":                     "/v1/users/*/messages/*",
		"/v1/{parent=projects/*/locations/*}/keyRings":                  "/v1/projects/*/locations/*/keyRings",
		"/v1/{name=projects/*/locations/*/operations/*}:cancel":         "/v1/projects/*/locations/*/operations/*:cancel",
		"/v1/{resource=**}:setIamPolicy":                                "/v1/**:setIamPolicy",
		"/v1/{table_name=projects/*/instances/*/tables/*}:readRows":     "/v1/projects/*/instances/*/tables/*:readRows",
		"/v3/{name=projects/*}/timeSeries:query":                        "/v3/projects/*/timeSeries:query",
		"/v1beta1/{database=projects/*/databases/*}/documents:runQuery": "/v1beta1/projects/*/databases/*/documents:runQuery",
		"/storage/v1/b/{bucket}/o/{object=**}":                          "/storage/v1/b/*/o/**",
		"/a/*/b/**":                                                     "/a/*/b/**",
		"/{a=*}":                                                        "/*",
		"/{a=x}":                                                        "/x",
		"/a%20b/~c":                                                     "/a b/~c",
	} {
		if got, err := transcoding.ParseTemplate(text); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, v := range []string{"/v1/{name=a/*/b/**}:verb", "/", "/{a.b}/*/**", "/a%2Fb"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := transcoding.ParseTemplate(text); err != nil {
			return
		}
		if text[0] != '/' {
			t.Fatalf("%q is a template", text)
		}
	})
}
