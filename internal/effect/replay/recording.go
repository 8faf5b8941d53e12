// Package replay decides recorded requests anew, without sockets, and says what differs.
// It starts no goroutines. The CLI, the admin API and internal/effect import it.
package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/gridway/gridway/internal/telemetry/tap"
)

// Format and Version are of recordings.
const (
	Format  = "gridway-recording"
	Version = 1
	// maxLine bounds a line, MaxRequests how many requests a recording has, and MaxServices
	// how many Services.
	maxLine     = 256 << 10
	MaxRequests = 1_000_000
	MaxServices = 20_000
)

// Head is the first line of a recording. Services follow, and then each line is a
// tap.Event.
type Head struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	// Credentials is masked or hashed.
	Credentials string `json:"credentials"`
	// Filters are the parameters of the tap that has recorded it.
	Filters string `json:"filters,omitempty"`
}

// Service is a line with a Service of the mesh that was recorded which no file has, since
// workloads that register make it.
type Service struct {
	Type string `json:"type"` // ServiceType
	// Object is the Service in JSON.
	Object json.RawMessage `json:"object"`
}

// ServiceType is the type of lines with Services.
const ServiceType = "service"

// Recording is one that is being read.
type Recording struct {
	Head
	// Services are objects in JSON, which the candidate has beneath its own.
	Services []json.RawMessage

	file  string
	lines *bufio.Reader
	line  int
	// ahead is a line that was read and is none of the beginning's.
	ahead []byte
}

// Open reads the beginning of a recording, which may be compressed by gzip. Errors name file
// and line.
func Open(in io.Reader, file string) (*Recording, error) {
	r := &Recording{file: file, lines: bufio.NewReaderSize(in, maxLine)}
	if begins, _ := r.lines.Peek(len(gzipMagic)); string(begins) == gzipMagic { // other errors come again
		plain, err := gzip.NewReader(r.lines)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		r.lines = bufio.NewReaderSize(plain, maxLine)
	}
	line, err := r.next()
	switch {
	case err != nil:
		return nil, err
	case line == nil:
		return nil, fmt.Errorf("%s: it is empty: %w", file, errNone)
	}
	if err := r.readHead(line); err != nil {
		return nil, r.wrong(err)
	}
	for {
		line, err := r.next()
		if err != nil || line == nil {
			return r, err
		}
		s, is := service(line)
		if !is {
			r.ahead = bytes.Clone(line)
			return r, nil
		}
		if len(r.Services) == MaxServices {
			return nil, r.wrong(fmt.Errorf("a recording has %d Services at most", MaxServices))
		}
		r.Services = append(r.Services, bytes.Clone(s.Object))
	}
}

// service is the Service of a line; false is that the line has something else.
func service(line []byte) (s Service, is bool) {
	err := json.Unmarshal(line, &s)
	return s, err == nil && s.Type == ServiceType
}

func (r *Recording) wrong(why error) error { return fmt.Errorf("%s:%d: %w", r.file, r.line, why) }

// next is the next line that has something, until another one is read; nil is the end.
func (r *Recording) next() ([]byte, error) {
	if line := r.ahead; line != nil {
		r.ahead = nil
		return line, nil
	}
	for {
		line, err := r.lines.ReadSlice('\n')
		r.line++
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, r.wrong(fmt.Errorf("the line is longer than %d KiB", maxLine>>10))
		case err != nil && !errors.Is(err, io.EOF):
			return nil, r.wrong(err)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil // what comes after the last line is its end again
		}
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // no line, and no error: the end
		}
	}
}

// Events gives what was recorded: exchanges, and connections of what is not HTTP. After an
// error there is no more.
func (r *Recording) Events() iter.Seq2[*tap.Event, error] {
	return func(yield func(*tap.Event, error) bool) {
		for requests := 1; ; requests++ {
			line, err := r.next()
			if err == nil && line == nil {
				return
			}
			e := &tap.Event{}
			switch {
			case err != nil:
			case requests > MaxRequests:
				err = r.wrong(fmt.Errorf("a recording has %d requests at most", MaxRequests))
			default:
				err = r.event(line, e)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if (e.Type == tap.Exchange || e.Type == tap.Stream) && !yield(e, nil) {
				return
			}
		}
	}
}

// event reads a line. The last one of a recording that was cut off is told as that.
func (r *Recording) event(line []byte, e *tap.Event) error {
	err := json.Unmarshal(line, e)
	if err == nil {
		return nil
	}
	number := r.line
	var syntax *json.SyntaxError
	ends := errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input" // it has no type of its own
	if rest, _ := r.next(); rest == nil && ends {
		return fmt.Errorf("%s:%d: the recording ends in the middle of a request: it was cut off; without this line the others can be decided", r.file, number)
	}
	return fmt.Errorf("%s:%d: this is no recorded request: %w", r.file, number, err)
}

// gzipMagic begins what gzip has compressed (RFC 1952 §2.3.1).
const gzipMagic = "\x1f\x8b"

var errNone = errors.New("this is no recording; \"gridway record\" makes one")

func (r *Recording) readHead(line []byte) error {
	if json.Unmarshal(line, &r.Head) != nil || r.Format != Format {
		return errNone
	}
	if r.Version != Version {
		return fmt.Errorf("the recording has version %d, and this gridway reads version %d", r.Version, Version)
	}
	return nil
}
