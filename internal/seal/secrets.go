package seal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// minSecret is in bytes.
	minSecret  = 32
	maxSecrets = 8
	maxFile    = 64 << 10
)

// ReadSecrets reads a file of secrets, one to a line, each of 32 bytes at least; lines
// that are empty or begin with # are none. The first seals, all open. Errors begin with
// what the secrets are.
func ReadSecrets(what, path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: %s may be read by everybody (mode %#o): chmod 600 it, and make a new one if somebody has read it", what, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var out [][]byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case len(line) == 0 || line[0] == '#':
		case len(line) < minSecret:
			return nil, fmt.Errorf("%s: %s:%d: has %d bytes, at least %d are needed: openssl rand -base64 32", what, path, n, len(line), minSecret)
		case len(out) == maxSecrets:
			return nil, fmt.Errorf("%s: %s:%d: there are more than %d", what, path, n, maxSecrets)
		default:
			out = append(out, bytes.Clone(line))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", what, path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %s has none: openssl rand -base64 32 makes one", what, path)
	}
	return out, nil
}

// ReadOrMakeSecret is ReadSecrets for a file that is made if it is not there, which only
// its owner may read: where no other machine needs it. About is its first line, for
// people.
func ReadOrMakeSecret(what, path, about string) ([][]byte, error) {
	out, err := ReadSecrets(what, path)
	if !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".") // with 0600
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "# %s\n%s\n", about, rand.Text()+rand.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	// A link never takes the place of a file: of two processes, both have the first one's.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return ReadSecrets(what, path)
}
