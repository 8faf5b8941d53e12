package ca

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
	maxSecret  = 64 << 10
)

// ReadSecrets reads the file of --ca-key-file: a secret to a line, each of 32 bytes at
// least; lines that are empty or begin with # are none. The first seals, all open.
func ReadSecrets(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("secret of the mesh's authority: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("secret of the mesh's authority: %s may be read by everybody (mode %#o): chmod 600 it, and make a new one if somebody has read it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("%s has more than %d bytes", path, maxSecret)
	}
	if err != nil {
		return nil, fmt.Errorf("secret of the mesh's authority: %w", err)
	}
	var out [][]byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case len(line) == 0 || line[0] == '#':
		case len(line) < minSecret:
			return nil, fmt.Errorf("secret of the mesh's authority: %s:%d: has %d bytes, at least %d are needed: openssl rand -base64 32", path, n, len(line), minSecret)
		case len(out) == maxSecrets:
			return nil, fmt.Errorf("secret of the mesh's authority: %s:%d: there are more than %d", path, n, maxSecrets)
		default:
			out = append(out, bytes.Clone(line))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("secret of the mesh's authority: %s has none: openssl rand -base64 32 makes one", path)
	}
	return out, nil
}

// ReadOrMakeSecret is ReadSecrets for a file that is made if it is not there, which only
// its owner may read: where one process alone has the state store.
func ReadOrMakeSecret(path string) ([][]byte, error) {
	out, err := ReadSecrets(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".") // with 0600
	if err != nil {
		return nil, fmt.Errorf("secret of the mesh's authority: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "# Seals the root keys of the mesh in the state store. Without it they are lost: back it up, not beside the store.\n%s\n", rand.Text()+rand.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("secret of the mesh's authority: %w", err)
	}
	// A link never takes the place of a file: of two processes, both have the first one's.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("secret of the mesh's authority: %w", err)
	}
	return ReadSecrets(path)
}
