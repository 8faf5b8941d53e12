package distrib

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// cacheMagic begins a cache; another version of the format has another.
const cacheMagic = "gridway distribution 1\n"

// Each record is its length, the XXH64 of its bytes, and its bytes.
const (
	recordHead = 4 + 8
	maxRecord  = MaxResourceBytes + 1<<20
	// compactSlack is how much of a log may be of no use before it is written anew.
	compactSlack = 1 << 20
)

// cache is a proxy's last good configuration on disk: a log of records, of which
// those before the last commit count. So a process that dies, or a disk that is
// full, in the middle of a change leaves the state before it.
//
// Private keys are in it: its mode is 0600.
type cache struct {
	path string
	log  *slog.Logger
	file *os.File
	lock *os.File
	// size is that of the log up to its last commit, live what of it counts.
	size, live int64
	index      map[Key]location
}

// location is where a resource's record is.
type location struct {
	hash   uint64
	at     int64
	length int64
}

// cached is what a cache had.
type cached struct {
	resources []*Resource
	commit    *meshpb.CacheCommit
}

// openCache opens or makes a cache. Of one that cannot be read, the log says why, and
// it begins anew; an error is returned where nothing can be kept.
func openCache(path string, log *slog.Logger) (*cache, *cached, error) {
	c := &cache{path: path, log: log}
	var err error
	if c.lock, err = os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600); err != nil {
		return nil, nil, err
	}
	if err := unix.Flock(int(c.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = c.lock.Close()
		return nil, nil, fmt.Errorf("%s is used by another process", path)
	}
	if c.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600); err != nil {
		_ = c.lock.Close()
		return nil, nil, err
	}
	if err := c.file.Chmod(0o600); err != nil {
		c.close()
		return nil, nil, err
	}
	had, err := c.read()
	if err != nil {
		log.Warn("the configuration that was kept on disk cannot be used, and is fetched anew", "file", path, "error", err)
		had = &cached{}
		if err := c.begin(); err != nil {
			c.close()
			return nil, nil, err
		}
	}
	return c, had, nil
}

func (c *cache) close() {
	_ = c.file.Close()
	_ = c.lock.Close()
}

// begin empties the log.
func (c *cache) begin() error {
	c.index, c.live = map[Key]location{}, 0
	if err := c.file.Truncate(0); err != nil {
		return err
	}
	if _, err := c.file.WriteAt([]byte(cacheMagic), 0); err != nil {
		return err
	}
	c.size = int64(len(cacheMagic))
	return c.file.Sync()
}

// read reads the log. What follows the last commit is cut off.
func (c *cache) read() (*cached, error) {
	info, err := c.file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return &cached{}, c.begin()
	}
	r := bufio.NewReaderSize(c.file, 256<<10)
	magic := make([]byte, len(cacheMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != cacheMagic {
		return nil, errors.New("it is not of this version, or no such file at all")
	}
	type entry struct {
		resource *Resource // nil if it was removed
		location
	}
	state, pending := map[Key]entry{}, map[Key]entry{}
	at, committed := int64(len(cacheMagic)), int64(len(cacheMagic))
	var commit *meshpb.CacheCommit
	var broken error
	for {
		record, n, err := readRecord(r, info.Size()-at)
		if err != nil {
			if err != io.EOF {
				broken = err
			}
			break
		}
		switch m := record.GetRecord().(type) {
		case *meshpb.CacheRecord_Upsert:
			x := resourceOf(m.Upsert)
			if x.Hash != xxhash.Sum64(x.Body) {
				return nil, fmt.Errorf("%s is not what its hash says", x.Key())
			}
			pending[x.Key()] = entry{x, location{x.Hash, at, n}}
		case *meshpb.CacheRecord_Removal:
			pending[Key{m.Removal.GetKind(), m.Removal.GetName()}] = entry{}
		case *meshpb.CacheRecord_Commit:
			for k, x := range pending {
				if x.resource == nil {
					delete(state, k)
				} else {
					state[k] = x
				}
			}
			clear(pending)
			commit, committed = m.Commit, at+n
		}
		at += n
	}
	if broken != nil {
		c.log.Warn("the end of the configuration that was kept on disk cannot be read: an earlier state is used", "file", c.path, "offset", at, "error", broken)
	}
	if commit == nil {
		return nil, errors.New("there is no whole state in it")
	}
	had := &cached{commit: commit}
	c.index, c.live = make(map[Key]location, len(state)), 0
	for k, x := range state {
		had.resources = append(had.resources, x.resource)
		c.index[k] = x.location
		c.live += x.length
	}
	slices.SortFunc(had.resources, Compare)
	if sum := Sum(had.resources); sum != commit.GetRevision().GetHash() {
		return nil, fmt.Errorf("it has the hash %016x and not %016x", sum, commit.GetRevision().GetHash())
	}
	c.size = committed
	return had, c.file.Truncate(committed)
}

// readRecord reads a record of which at most left bytes can be there. The end of the
// file is io.EOF.
func readRecord(r io.Reader, left int64) (*meshpb.CacheRecord, int64, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, err
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	if length > maxRecord || length > left-recordHead {
		return nil, 0, fmt.Errorf("a record of %d bytes where %d are left", length, left-recordHead)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, 0, err
	}
	if xxhash.Sum64(payload) != binary.LittleEndian.Uint64(head[4:]) {
		return nil, 0, errors.New("a record is not what its checksum says")
	}
	record := &meshpb.CacheRecord{}
	if err := proto.Unmarshal(payload, record); err != nil {
		return nil, 0, err
	}
	return record, recordHead + length, nil
}

func resourceOf(m *meshpb.Resource) *Resource {
	return &Resource{Kind: m.GetKind(), Name: m.GetName(), Hash: m.GetHash(), Body: m.GetBody()}
}

// commit appends a change. If it cannot be written whole, the state before it stays.
func (c *cache) commit(upserts []*Resource, removals []Key, commit *meshpb.CacheCommit) error {
	places := make(map[Key]location, len(upserts))
	w := bufio.NewWriterSize(io.NewOffsetWriter(c.file, c.size), 64<<10)
	at := c.size
	write := func(record *meshpb.CacheRecord) (int64, error) {
		n, err := writeRecord(w, record)
		at += n
		return n, err
	}
	err := func() error {
		for _, r := range upserts {
			start := at
			n, err := write(&meshpb.CacheRecord{Record: &meshpb.CacheRecord_Upsert{Upsert: &meshpb.Resource{Kind: r.Kind, Name: r.Name, Hash: r.Hash, Body: r.Body}}})
			if err != nil {
				return err
			}
			places[r.Key()] = location{r.Hash, start, n}
		}
		for _, k := range removals {
			if _, err := write(&meshpb.CacheRecord{Record: &meshpb.CacheRecord_Removal{Removal: &meshpb.ResourceKey{Kind: k.Kind, Name: k.Name}}}); err != nil {
				return err
			}
		}
		if _, err := write(&meshpb.CacheRecord{Record: &meshpb.CacheRecord_Commit{Commit: commit}}); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return c.file.Sync()
	}()
	if err != nil {
		// What a full disk has taken is given back; it would not count anyway.
		_ = c.file.Truncate(c.size)
		return err
	}
	c.size = at
	for k, l := range places {
		c.live += l.length - c.index[k].length
		c.index[k] = l
	}
	for _, k := range removals {
		c.live -= c.index[k].length
		delete(c.index, k)
	}
	if c.size > 2*c.live+compactSlack {
		if err := c.compact(commit); err != nil {
			c.log.Warn("the configuration on disk cannot be written anew, and goes on growing", "file", c.path, "error", err)
		}
	}
	return nil
}

// body is that of a resource in the log, which has that hash.
func (c *cache) body(k Key, hash uint64) ([]byte, error) {
	l, ok := c.index[k]
	if !ok || l.hash != hash {
		return nil, errOtherResource
	}
	record, _, err := readRecord(io.NewSectionReader(c.file, l.at, l.length), l.length)
	if err != nil {
		return nil, fmt.Errorf("what is kept of it on disk cannot be read: %w", err)
	}
	body := record.GetUpsert().GetBody()
	if xxhash.Sum64(body) != hash {
		return nil, errors.New("what is kept of it on disk is something else")
	}
	return body, nil
}

func writeRecord(w io.Writer, record *meshpb.CacheRecord) (int64, error) {
	payload, err := proto.Marshal(record)
	if err != nil {
		return 0, err
	}
	if len(payload) > maxRecord {
		return 0, fmt.Errorf("a record of %d bytes is too long", len(payload))
	}
	var head [recordHead]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(head[4:], xxhash.Sum64(payload))
	if _, err := w.Write(head[:]); err != nil {
		return 0, err
	}
	_, err = w.Write(payload)
	return recordHead + int64(len(payload)), err
}

// compact writes what counts to a new file, which takes the place of the log.
func (c *cache) compact(commit *meshpb.CacheCommit) (err error) {
	next, err := os.OpenFile(c.path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = next.Close()
			_ = os.Remove(c.path + ".new")
		}
	}()
	w := bufio.NewWriterSize(next, 256<<10)
	if _, err := w.WriteString(cacheMagic); err != nil {
		return err
	}
	at, index := int64(len(cacheMagic)), make(map[Key]location, len(c.index))
	for k, l := range c.index {
		if _, err := io.Copy(w, io.NewSectionReader(c.file, l.at, l.length)); err != nil {
			return err
		}
		index[k] = location{l.hash, at, l.length}
		at += l.length
	}
	n, err := writeRecord(w, &meshpb.CacheRecord{Record: &meshpb.CacheRecord_Commit{Commit: commit}})
	if err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), next.Sync()); err != nil {
		return err
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		return err
	}
	syncFolder(filepath.Dir(c.path))
	_ = c.file.Close()
	c.file, c.index, c.size = next, index, at+n
	return nil
}

// syncFolder makes a rename last. Where folders cannot be synced, it lasts anyway.
func syncFolder(path string) {
	if d, err := os.Open(path); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
