package identity

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// fileName is that of a keyring in its folder.
	fileName    = "keyring.json"
	fileVersion = 1
	// maxFile bounds it in bytes.
	maxFile = 64 << 20
)

// file is a keyring as it is kept.
type file struct {
	Version int                        `json:"version"`
	Own     string                     `json:"own,omitempty"`
	SVIDs   []fileSVID                 `json:"svids"`
	Bundles map[string]json.RawMessage `json:"bundles"`
	Denied  []Denial                   `json:"denied,omitempty"`
}

type fileSVID struct {
	Chain string `json:"chain"`
	Key   string `json:"key"`
}

// Save writes a keyring to a folder, which is made if it is not there: a file that only its
// owner may read, and that is either as before or whole, whenever the power fails.
func (k *Keyring) Save(folder string) error {
	text, err := k.at.Load().marshal()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if err := replace(folder, filepath.Join(folder, fileName), text); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return nil
}

func replace(folder, path string, text []byte) error {
	f, err := os.CreateTemp(folder, "."+fileName+".") // with 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (at *keys) marshal() ([]byte, error) {
	f := file{Version: fileVersion, Own: at.own, SVIDs: []fileSVID{}, Bundles: map[string]json.RawMessage{}, Denied: at.denied.all}
	for _, s := range at.svids {
		key, err := x509.MarshalPKCS8PrivateKey(s.pair.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("keyring: the key of %s cannot be kept: %w", s.id, err)
		}
		var chain []byte
		for _, c := range s.pair.Certificate {
			chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
		}
		f.SVIDs = append(f.SVIDs, fileSVID{string(chain), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))})
	}
	for td, b := range at.bundles {
		f.Bundles[td.Name()] = b.text
	}
	return json.Marshal(&f)
}

// Load reads what Save has written to a folder. A folder without a keyring is
// fs.ErrNotExist.
func Load(folder string) (Change, error) {
	path := filepath.Join(folder, fileName)
	f, err := os.Open(path)
	if err != nil {
		return Change{}, fmt.Errorf("keyring: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Change{}, fmt.Errorf("keyring: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Change{}, fmt.Errorf("keyring: %s has keys and may be read by others (mode %#o): remove it, so that the process joins anew, or, if nobody has read it, chmod 600", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("has more than %d bytes", maxFile)
	}
	if err != nil {
		return Change{}, fmt.Errorf("keyring: %s: %w", path, err)
	}
	c, err := parseFile(text)
	if err != nil {
		return Change{}, fmt.Errorf("keyring: %s: %w; remove it, and the process joins anew", path, err)
	}
	return c, nil
}

func parseFile(text []byte) (c Change, err error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return c, err
	}
	if f.Version != fileVersion {
		return c, fmt.Errorf("has the version %d, and %d is known here", f.Version, fileVersion)
	}
	if f.Own != "" {
		if c.Own, err = Parse(f.Own); err != nil {
			return c, err
		}
	}
	for i := range f.SVIDs {
		s, err := f.SVIDs[i].parse()
		if err != nil {
			return c, fmt.Errorf("SVID %d: %w", i+1, err)
		}
		c.Put = append(c.Put, s)
	}
	c.Bundles = []*Bundle{}
	for name, text := range f.Bundles {
		td, err := ParseTrustDomain(name)
		if err != nil {
			return c, err
		}
		b, err := ParseBundle(td, text)
		if err != nil {
			return c, err
		}
		c.Bundles = append(c.Bundles, b)
	}
	if len(f.Denied) > MaxDenials {
		return c, fmt.Errorf("denies more than %d", MaxDenials)
	}
	for i := range f.Denied {
		if err := f.Denied[i].Check(); err != nil {
			return c, err
		}
	}
	c.Denied = append([]Denial{}, f.Denied...)
	return c, nil
}

func (f *fileSVID) parse() (*SVID, error) {
	var chain []*x509.Certificate
	for rest := []byte(f.Chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	block, _ := pem.Decode([]byte(f.Key))
	if block == nil {
		return nil, errors.New("has no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its key cannot be read") // whose parse error might quote it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("its key does not sign")
	}
	return NewSVID(chain, signer)
}

// Saver keeps a keyring in a folder, so that the process can start with it again while no
// control plane can be reached.
type Saver struct {
	Keyring *Keyring
	Folder  string
	Log     *slog.Logger // nil is nobody
	// Report, unless it is nil, is told whether what the keyring has is on the disk: nil,
	// or why not. It must not block.
	Report func(error)
}

// The waits between two tries to save grow from the first to the last.
const (
	firstSave = 5 * time.Second
	lastSave  = time.Minute
)

// Run saves at once and after each change, until ctx ends. A disk that is full stops
// nobody: the keyring goes on in memory, the log says it, and it is tried again.
func (s *Saver) Run(ctx context.Context) {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	changed, stop := s.Keyring.Watch()
	defer stop()
	failing, wait := "", firstSave
	for {
		err := s.Keyring.Save(s.Folder)
		switch {
		case err == nil && failing != "":
			log.Info("the keyring is saved again", "folder", s.Folder)
			failing, wait = "", firstSave
		case err != nil && err.Error() != failing:
			log.Warn("the keyring cannot be saved: this process goes on with it in memory, and would have to join again if it was started anew", "folder", s.Folder, "error", err)
			failing = err.Error()
		}
		if s.Report != nil {
			s.Report(err)
		}
		var again <-chan time.Time
		if err != nil {
			again, wait = time.After(wait), min(2*wait, lastSave)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		}
	}
}
