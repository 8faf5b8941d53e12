package file

import (
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// FuzzNamed: the keys that an annotation names are ones that Kubernetes takes, each
// once, and their files have a place.
func FuzzNamed(f *testing.F) {
	for _, s := range []string{"tls.crt=a.crt, tls.key=/etc/a.key", "a=..", "..=x", "a==b", "k=\x00", " , ", "a=b,a=c", "k=../../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files, err := parseNamed(text, "/config/dir")
		if err != nil {
			return
		}
		keys := map[string]bool{}
		for _, n := range files {
			if wrong := validation.IsConfigMapKey(n.key); len(wrong) > 0 || keys[n.key] || !filepath.IsAbs(n.path) || filepath.Clean(n.path) != n.path {
				t.Fatalf("%q: key %q from %q, %v", text, n.key, n.path, wrong)
			}
			keys[n.key] = true
		}
		if len(files) == 0 || len(files) > maxNamed {
			t.Fatalf("%q: %d files", text, len(files))
		}
	})
}
