// Package console serves the files of the console, a program for browsers whose sources
// are in web/. It knows nothing of the process: the pages ask the admin API, at the same
// origin, like any other client of it.
package console

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:generate ../../../scripts/console

//go:embed all:dist
var built embed.FS

// policy lets pages have what this origin serves, and nothing written into them: no
// inline script or style, no frame, no plugin, no form that leads elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the console at "/". Paths that are no file are the page's own.
func Handler() http.Handler {
	dist, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return newHandler(dist)
}

func newHandler(dist fs.FS) http.Handler {
	files := map[string]*file{}
	err := fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(dist, name)
		files["/"+name] = newFile(name, raw)
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return handler(files)
}

type handler map[string]*file

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	f := h[path.Clean("/"+r.URL.Path)]
	switch {
	case f != nil:
	case strings.HasPrefix(r.URL.Path, assets):
		// A file of another version: the page has to be loaded anew, and nobody may
		// remember that it is not there.
		header.Set("Cache-Control", "no-store")
		http.Error(w, "this file belongs to another version of the console; load the page anew", http.StatusNotFound)
		return
	default:
		f = h["/index.html"]
	}
	if f == nil {
		http.Error(w, "this program was built without the console's files", http.StatusNotFound)
		return
	}
	f.serve(w, r)
}

// assets have names with digests of their contents in them, and so never change.
const assets = "/assets/"

type file struct {
	media, cache, tag string
	raw               []byte
	// packed is the file in gzip, made when it is asked for first, or nil where that is
	// no shorter.
	packed func() []byte
}

func newFile(name string, raw []byte) *file {
	sum := sha256.Sum256(raw)
	f := &file{raw: raw, tag: `"` + hex.EncodeToString(sum[:12]) + `"`, cache: "no-cache", media: cmp.Or(mediaTypes[path.Ext(name)], mime.TypeByExtension(path.Ext(name)), "application/octet-stream")}
	if strings.HasPrefix("/"+name, assets) {
		f.cache = "public, max-age=31536000, immutable"
	}
	f.packed = sync.OnceValue(func() []byte { return pack(raw) })
	return f
}

// mediaTypes do not depend on the machine's tables.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".txt": "text/plain; charset=utf-8",
}

func pack(raw []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil // the level is one of the package's
	}
	_, _ = z.Write(raw) // a buffer takes everything
	_ = z.Close()
	if b.Len() >= len(raw) {
		return nil
	}
	return b.Bytes()
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", f.cache)
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.raw, f.tag
	if packed := f.packed(); packed != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		// RFC 9110 §8.8.3: another representation has another strong tag.
		body, tag = packed, strings.TrimSuffix(f.tag, `"`)+`-gzip"`
	}
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone if this fails
	}
}

// matches reads If-None-Match, which compares weakly (RFC 9110 §13.1.2).
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	for one := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, weight, found := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !found || err == nil && q > 0
	}
	return false
}
