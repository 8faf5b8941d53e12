package console

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func ask(h http.Handler, method, path string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var made = fstest.MapFS{
	"index.html":         {Data: []byte("<!doctype html><title>Gridway</title>" + strings.Repeat(" ", 200))},
	"icon.svg":           {Data: []byte("<svg/>")},
	"assets/index-ab.js": {Data: []byte(strings.Repeat("console.log(1)\n", 50))},
}

func TestFilesAndPages(t *testing.T) {
	h := newHandler(made)
	for path, want := range map[string]struct {
		status       int
		media, cache string
	}{
		"/":                            {200, "text/html; charset=utf-8", "no-cache"},
		"/routes/HTTPRoute%2Fa%2Fb":    {200, "text/html; charset=utf-8", "no-cache"},
		"/index.html":                  {200, "text/html; charset=utf-8", "no-cache"},
		"/icon.svg":                    {200, "image/svg+xml", "no-cache"},
		"/assets/index-ab.js":          {200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/assets/index-of-before.js":   {404, "text/plain; charset=utf-8", "no-store"},
		"/assets/../index.html":        {200, "text/html; charset=utf-8", "no-cache"},
		"/../../../../etc/passwd":      {200, "text/html; charset=utf-8", "no-cache"},
		"/assets/..%2f..%2fetc/passwd": {404, "text/plain; charset=utf-8", "no-store"},
	} {
		r := ask(h, "GET", path, nil)
		if r.StatusCode != want.status || r.Header.Get("Content-Type") != want.media || r.Header.Get("Cache-Control") != want.cache {
			t.Errorf("%s: %d, %s, %s", path, r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"))
		}
		policy := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: header %v", path, r.Header)
		}
	}
}

func TestCompressedWhereItIsShorterAndAskedFor(t *testing.T) {
	h := newHandler(made)
	for _, c := range []struct {
		path, accept string
		want         bool
	}{
		{"/assets/index-ab.js", "gzip, deflate, br", true},
		{"/assets/index-ab.js", "br;q=1, GZIP;q=0.5", true},
		{"/assets/index-ab.js", "gzip;q=0", false},
		{"/assets/index-ab.js", "gzip; q=0.000", false},
		{"/assets/index-ab.js", "gzip;q=wrong", false},
		{"/assets/index-ab.js", "identity", false},
		{"/assets/index-ab.js", "", false},
		{"/icon.svg", "gzip", false},
	} {
		r := ask(h, "GET", c.path, http.Header{"Accept-Encoding": {c.accept}})
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != c.want {
			t.Errorf("%s with %q: gzip %v", c.path, c.accept, got)
			continue
		}
		text := r.Body
		if c.want {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			text = z
		}
		if got := body(t, text); got != string(made[strings.TrimPrefix(c.path, "/")].Data) {
			t.Errorf("%s with %q has other content", c.path, c.accept)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary %q", c.path, r.Header.Get("Vary"))
		}
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	h := newHandler(made)
	tags := map[string]bool{}
	for _, accept := range []string{"", "gzip"} {
		tag := ask(h, "GET", "/", http.Header{"Accept-Encoding": {accept}}).Header.Get("ETag")
		if !regexp.MustCompile(`^"[0-9a-f]{24}(-gzip)?"$`).MatchString(tag) || tags[tag] {
			t.Fatalf("ETag %q, after %v", tag, tags)
		}
		tags[tag] = true
		for header, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200} {
			r := ask(h, "GET", "/", http.Header{"If-None-Match": {header}, "Accept-Encoding": {accept}})
			if r.StatusCode != want || want == 304 && body(t, r.Body) != "" {
				t.Errorf("If-None-Match %q: %d", header, r.StatusCode)
			}
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	r := ask(newHandler(made), "HEAD", "/icon.svg", nil)
	if r.StatusCode != 200 || r.Header.Get("Content-Length") != "6" || body(t, r.Body) != "" {
		t.Errorf("%d, %v", r.StatusCode, r.Header)
	}
}

func TestWithoutFiles(t *testing.T) {
	if r := ask(newHandler(fstest.MapFS{}), "GET", "/", nil); r.StatusCode != 404 {
		t.Errorf("status %d", r.StatusCode)
	}
}

// What is built in names only files that are built in, and nothing inline.
func TestBuiltPages(t *testing.T) {
	h := Handler()
	page := body(t, ask(h, "GET", "/", nil).Body)
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|\son\w+=|javascript:`).MatchString(page) {
		t.Errorf("the page has something inline:\n%s", page)
	}
	links := regexp.MustCompile(`(?:src|href)="/console(/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 3 {
		t.Fatalf("the page names %d files:\n%s", len(links), page)
	}
	for _, l := range links {
		if r := ask(h, "GET", l[1], nil); r.StatusCode != 200 || strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", l[1], r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
}

// The bundle's first part stays small: what draws graphs and charts is fetched later.
func TestFirstPaintIsSmall(t *testing.T) {
	h := Handler()
	page := body(t, ask(h, "GET", "/", nil).Body)
	total := 0
	for _, l := range regexp.MustCompile(`(?:src|href)="/console(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		total += len(body(t, ask(h, "GET", l[1], http.Header{"Accept-Encoding": {"gzip"}}).Body))
	}
	t.Logf("%d bytes in gzip before the first paint", total)
	if total == 0 || total > 160<<10 {
		t.Errorf("%d bytes in gzip before the first paint; 160 KiB are allowed", total)
	}
}
