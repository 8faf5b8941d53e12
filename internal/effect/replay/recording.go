// Package replay decides recorded requests anew, without sockets, and says what differs.
// It starts no goroutines. The CLI, the admin API and internal/effect import it.
package replay

import (
	"bufio"
	"bytes"
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
	// maxLine bounds a line, and MaxRequests how many requests a recording has.
	maxLine     = 256 << 10
	MaxRequests = 1_000_000
)

// Head is the first line of a recording; each further line is a tap.Event.
type Head struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	// Credentials is masked or hashed.
	Credentials string `json:"credentials"`
	// Filters are the parameters of the tap that has recorded it.
	Filters string `json:"filters,omitempty"`
}

// Read gives the exchanges of a recording. After an error, which names file and line,
// there is no more.
func Read(r io.Reader, file string) iter.Seq2[*tap.Event, error] {
	return func(yield func(*tap.Event, error) bool) {
		lines := bufio.NewReaderSize(r, maxLine)
		requests, begun := 0, false
		for n := 1; ; n++ {
			line, err := lines.ReadSlice('\n')
			fail := func(why error) { yield(nil, fmt.Errorf("%s:%d: %w", file, n, why)) }
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				fail(fmt.Errorf("the line is longer than %d KiB", maxLine>>10))
				return
			case err != nil && !errors.Is(err, io.EOF):
				fail(err)
				return
			}
			end := err != nil
			if line = bytes.TrimSpace(line); len(line) == 0 {
				if end {
					if !begun {
						fail(errNone)
					}
					return
				}
				continue
			}
			if !begun {
				begun = true
				if err := readHead(line); err != nil {
					fail(err)
					return
				}
			} else {
				e := &tap.Event{}
				if err := json.Unmarshal(line, e); err != nil {
					fail(fmt.Errorf("this is no recorded request: %w", err))
					return
				}
				if requests++; requests > MaxRequests {
					fail(fmt.Errorf("a recording has %d requests at most", MaxRequests))
					return
				}
				if e.Type == tap.Exchange && !yield(e, nil) {
					return
				}
			}
			if end {
				return
			}
		}
	}
}

var errNone = errors.New("this is no recording; \"gridway record\" makes one")

func readHead(line []byte) error {
	var h Head
	if json.Unmarshal(line, &h) != nil || h.Format != Format {
		return errNone
	}
	if h.Version != Version {
		return fmt.Errorf("the recording has version %d, and this gridway reads version %d", h.Version, Version)
	}
	return nil
}
