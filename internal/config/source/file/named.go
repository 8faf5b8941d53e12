package file

import (
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
)

// FilesAnnotation lets a Secret or ConfigMap take data from files, which other
// programs write: "tls.crt=PATH, tls.key=PATH".
const FilesAnnotation = "gridway.dev/files"

const (
	// maxNamed is how many files an object may name, and maxNamedBytes how long
	// all its data may be, which is the bound of Kubernetes.
	maxNamed      = 32
	maxNamedBytes = 1 << 20
	// maxNamedListBytes is for ConfigMaps: a list of a million networks is longer.
	maxNamedListBytes = 64 << 20

	annotationField = "metadata.annotations[" + FilesAnnotation + "]"
)

// named is one file that an object takes data from.
type named struct {
	key, path string
	stamp     stamp
	read      time.Time
}

// same tells whether the file is the one that was read.
func (n *named) same(touched map[string]bool) bool {
	now, err := stampOf(n.path)
	racy := n.stamp.info != nil && n.read.Sub(n.stamp.info.ModTime()) < 2*time.Second
	return !touched[n.path] && !racy && (err == nil) == (n.stamp.info != nil) && now.same(n.stamp)
}

// annotation is what an object says of files, "" if nothing.
func annotation(o *store.Object) string {
	switch v := o.Value.(type) {
	case *corev1.Secret:
		return v.Annotations[FilesAnnotation]
	case *corev1.ConfigMap:
		return v.Annotations[FilesAnnotation]
	}
	return ""
}

func namesFiles(r *decode.Result) bool {
	return slices.ContainsFunc(r.Objects, NamesFiles)
}

// fillNamed gives objects the data of the files that they name, and notes those
// files, so that changes are seen. It reports whether anything differs from the
// generation before.
func (r *reader) fillNamed(g *generation, touched map[string]bool) (changed bool) {
	for path, s := range g.files {
		for i := range s.docs {
			if s.docs[i].base == nil {
				continue
			}
			d := s.docs[i]
			if d.result != d.base && !slices.ContainsFunc(d.named, func(n named) bool { return !n.same(touched) }) {
				g.note(d.named)
				continue
			}
			d.fillNamed(filepath.Dir(path))
			g.note(d.named)
			if s == r.old(path) { // which the present generation goes on with
				copied := *s
				copied.docs = slices.Clone(s.docs)
				s = &copied
				g.files[path] = s
			}
			s.docs[i] = d
			changed = true
		}
	}
	return changed
}

// note lets changes of files be seen.
func (g *generation) note(files []named) {
	for _, n := range files {
		dir := filepath.Dir(n.path)
		for !isDir(dir) && dir != filepath.Dir(dir) { // where it may appear
			dir = filepath.Dir(dir)
		}
		g.found.addDir(dir)
		g.found.targets[n.path] = true
		g.found.addTarget(n.path)
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fillNamed makes the document's result from its base.
func (d *document) fillNamed(dir string) {
	d.named = nil
	result := *d.base
	result.Objects = make([]*store.Object, 0, len(d.base.Objects))
	result.Problems = slices.Clip(result.Problems)
	result.Broken = slices.Clip(result.Broken)
	for _, o := range d.base.Objects {
		if annotation(o) == "" {
			result.Objects = append(result.Objects, o)
			continue
		}
		filled, err := d.object(o, dir)
		if err == nil {
			result.Objects = append(result.Objects, filled)
			continue
		}
		result.Broken = append(result.Broken, o.Key)
		p := store.Problem{
			Severity: store.Error, Code: "InvalidValue", Object: o.Key, Field: annotationField, Position: o.Locate(annotationField),
			Message: err.Error(), Remedy: `write "KEY=PATH", several with commas between them, as in "tls.crt=/etc/tls/shop.crt, tls.key=/etc/tls/shop.key"`,
		}
		var unreadable *namedError
		if errors.As(err, &unreadable) {
			p.Code, p.Remedy = "UnreadableFile", unreadable.remedy
		}
		result.Problems = append(result.Problems, p)
	}
	d.result = &result
}

// namedError is a file that cannot be used.
type namedError struct {
	path, remedy string
	err          error
}

func (e *namedError) Error() string {
	err := e.err
	var bare *fs.PathError
	if errors.As(err, &bare) {
		err = bare.Err // the path is said already
	}
	return e.path + ": " + err.Error()
}

func (e *namedError) Unwrap() error { return e.err }

// object returns o with the data of the files that it names.
func (d *document) object(o *store.Object, dir string) (*store.Object, error) {
	files, err := parseNamed(annotation(o), dir)
	if err != nil {
		return nil, err
	}
	first := len(d.named)
	d.named = append(d.named, files...)
	data := make(map[string][]byte, len(files))
	most := maxNamedBytes
	if o.Key.Kind == "ConfigMap" {
		most = maxNamedListBytes
	}
	left, paths := most, make(map[string]string, len(files))
	for i := range files { // all of them, so that a change of each is noticed
		n := &d.named[first+i]
		content, failed := n.load(left, most)
		paths[n.key] = n.path
		data[n.key], left, err = content, left-len(content), cmp.Or(err, failed)
	}
	if err == nil {
		err = pairs(o, data, files)
	}
	if err != nil {
		return nil, err
	}
	filled := *o
	filled.Files = paths
	switch v := o.Value.(type) {
	case *corev1.Secret:
		copied := v.DeepCopy()
		if copied.Data, err = merge(v.Data, data); err != nil {
			return nil, err
		}
		filled.Value = copied
	case *corev1.ConfigMap:
		copied := v.DeepCopy()
		text := map[string][]byte{}
		for key := range v.Data {
			text[key] = nil
		}
		if _, err := merge(text, data); err != nil {
			return nil, err
		}
		binary := map[string][]byte{}
		for key, content := range data {
			if !utf8.Valid(content) {
				binary[key] = content
				continue
			}
			if copied.Data == nil {
				copied.Data = map[string]string{}
			}
			copied.Data[key] = string(content)
		}
		if copied.BinaryData, err = merge(v.BinaryData, binary); err != nil {
			return nil, err
		}
		filled.Value = copied
	}
	filled.Hash = hashNamed(o.Hash, data)
	return &filled, nil
}

// parseNamed reads the annotation. Paths are relative to the folder of the file
// that it is in.
func parseNamed(text, dir string) ([]named, error) {
	var files []named
	for entry := range strings.SplitSeq(text, ",") {
		key, path, ok := strings.Cut(entry, "=")
		key, path = strings.TrimSpace(key), strings.TrimSpace(path)
		switch {
		case !ok || key == "" || path == "":
			return nil, fmt.Errorf("%q does not say which key gets which file", strings.TrimSpace(entry))
		case len(key) > 253 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || key == "." || strings.HasPrefix(key, ".."):
			return nil, fmt.Errorf("%q is no key: it may have letters, digits, '-', '_' and '.'", key)
		case slices.ContainsFunc(files, func(n named) bool { return n.key == key }):
			return nil, fmt.Errorf("the key %s is there twice", key)
		case len(files) == maxNamed:
			return nil, fmt.Errorf("more than %d files", maxNamed)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		files = append(files, named{key: key, path: filepath.Clean(path)})
	}
	return files, nil
}

// load reads the file, of at most left bytes; all files of the object may have most.
func (n *named) load(left, most int) ([]byte, error) {
	n.read = time.Now()
	var err error
	if n.stamp, err = stampOf(n.path); err != nil {
		return nil, &namedError{n.path, "put the file there, or let Gridway's user read it", err}
	}
	if !n.stamp.info.Mode().IsRegular() {
		return nil, &namedError{n.path, "name a file", errors.New("is no regular file")}
	}
	f, err := os.Open(n.path)
	if err != nil {
		return nil, &namedError{n.path, "let Gridway's user read the file", err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(left)+1))
	switch {
	case err != nil:
		return nil, &namedError{n.path, "see that the file can be read", err}
	case len(data) > left:
		return nil, &namedError{n.path, "name smaller files", fmt.Errorf("the files of this object are longer than %d bytes", most)}
	case len(data) == 0:
		return nil, &namedError{n.path, "write the file again", errors.New("is empty")}
	}
	return data, nil
}

// pairs refuses a certificate beside another one's key: who renews both writes
// one after the other.
func pairs(o *store.Object, data map[string][]byte, files []named) error {
	cert, key := data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]
	if cert == nil || key == nil || o.Key.Kind != "Secret" {
		return nil
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		at := slices.IndexFunc(files, func(n named) bool { return n.key == corev1.TLSCertKey })
		// What crypto/tls says may quote what stands where a certificate should.
		return &namedError{
			files[at].path, "write a certificate chain and its private key, both in PEM",
			errors.New("is not the certificate of the private key beside it, or one of them is not in PEM"),
		}
	}
	return nil
}

// merge adds data to what the object has itself.
func merge(own, data map[string][]byte) (map[string][]byte, error) {
	all := maps.Clone(own)
	for key, content := range data {
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("the object has data of its own for the key %s", key)
		}
		if all == nil {
			all = map[string][]byte{}
		}
		all[key] = content
	}
	return all, nil
}

// hashNamed is the digest of an object with data.
func hashNamed(hash uint64, data map[string][]byte) uint64 {
	digest := xxhash.New()
	number := func(n uint64) { _, _ = digest.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	number(hash)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		number(uint64(len(key)))
		_, _ = digest.WriteString(key)
		number(uint64(len(data[key])))
		_, _ = digest.Write(data[key])
	}
	return digest.Sum64()
}

// NamesFiles tells whether an object takes data from files.
func NamesFiles(o *store.Object) bool { return annotation(o) != "" }
