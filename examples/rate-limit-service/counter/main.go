// Command counter is a small server of envoy.service.ratelimit.v3, on the port that
// it is given. It takes each limit from the question itself (a descriptor's limit
// override), counts in memory, by windows that begin with the second, minute, hour,
// day or month in UTC, and shows on / what it has counted.
package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxQuestion = 64 << 10
	maxCounters = 10_000
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: counter PORT")
	}
	c := &counters{}
	mux := http.NewServeMux()
	mux.Handle("POST /envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", c)
	mux.HandleFunc("GET /", c.show)
	s := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: mux, Protocols: new(http.Protocols), ReadHeaderTimeout: 10 * time.Second}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true) // which gRPC is spoken over without TLS
	log.Fatal(s.ListenAndServe())
}

// descriptor is what is counted: a name, and how much of it in which unit of time.
type descriptor struct {
	name        string
	units, unit uint64
	hits        uint64 // zero if it says nothing itself
	saysHits    bool
}

// counters are what was used in windows that have not ended.
type counters struct {
	mu  sync.Mutex
	now map[string]*counter // guarded by mu
}

type counter struct {
	used, most uint64
	ends       time.Time
}

// ServeHTTP answers a call of gRPC.
func (c *counters) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	descriptors, err := question(r.Body)
	if err != nil {
		w.Header().Set("Grpc-Status", "3") // INVALID_ARGUMENT
		w.Header().Set("Grpc-Message", err.Error())
		return
	}
	answer := c.ask(descriptors, time.Now().UTC())
	head := make([]byte, 5)
	binary.BigEndian.PutUint32(head[1:], uint32(len(answer)))
	_, _ = w.Write(append(head, answer...))
	w.Header().Set("Grpc-Status", "0")
}

// ask charges all descriptors, or none if one of them is over its limit.
func (c *counters) ask(list []descriptor, now time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make([]*counter, len(list))
	over := false
	for i, d := range list {
		found[i] = c.find(d, now)
		over = over || found[i].used+d.hits > found[i].most
	}
	const ok, overLimit = 1, 2
	code := uint64(ok)
	if over {
		code = overLimit
	}
	answer := number(nil, 1, code)
	for i, d := range list {
		k, code := found[i], uint64(ok)
		switch {
		case k.used+d.hits > k.most:
			code = overLimit
		case !over:
			k.used += d.hits
		}
		status := number(nil, 1, code)
		status = message(status, 2, number(number(nil, 1, d.units), 2, d.unit))
		status = number(status, 3, k.most-min(k.used, k.most))
		status = message(status, 4, number(nil, 1, uint64(k.ends.Sub(now)/time.Second)+1))
		answer = message(answer, 2, status)
	}
	return answer
}

// find is the counter of the present window.
func (c *counters) find(d descriptor, now time.Time) *counter {
	if k := c.now[d.name]; k != nil && now.Before(k.ends) {
		k.most = d.units
		return k
	}
	if c.now == nil || len(c.now) >= maxCounters {
		c.now = map[string]*counter{}
	}
	k := &counter{most: d.units, ends: end(now, d.unit)}
	c.now[d.name] = k
	return k
}

// end is when a window ends, by the numbers of envoy.type.v3.RateLimitUnit.
func end(now time.Time, unit uint64) time.Time {
	switch unit {
	case 1, 2, 3, 4:
		length := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}[unit-1]
		return now.Truncate(length).Add(length)
	default:
		return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
}

func (c *counters) show(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.now)) {
		fmt.Fprintf(w, "%s: %d of %d\n", name, c.now[name].used, c.now[name].most)
	}
}

// question reads a RateLimitRequest, with the five bytes of gRPC before it.
func question(r io.Reader) ([]descriptor, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxQuestion))
	if err != nil || len(b) < 5 || b[0] != 0 || int(binary.BigEndian.Uint32(b[1:])) != len(b)-5 {
		return nil, fmt.Errorf("not one message that is not compressed: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	domain, hits := "", uint64(1)
	var list []descriptor
	err = fields(b[5:], func(field protowire.Number, v []byte, n uint64) error {
		switch field {
		case 1:
			domain = string(v)
		case 2:
			d, err := describe(v)
			list = append(list, d)
			return err
		case 3:
			hits = n
		}
		return nil
	})
	for i := range list {
		list[i].name = domain + list[i].name
		if !list[i].saysHits {
			list[i].hits = hits
		}
	}
	return list, err
}

// describe reads a RateLimitDescriptor.
func describe(b []byte) (d descriptor, err error) {
	err = fields(b, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case 1: // an entry
			var key, value string
			err := fields(v, func(field protowire.Number, v []byte, _ uint64) error {
				if field == 1 {
					key = string(v)
				} else {
					value = string(v)
				}
				return nil
			})
			d.name += " " + key + "=" + value
			return err
		case 2: // the limit
			return fields(v, func(field protowire.Number, _ []byte, n uint64) error {
				if field == 1 {
					d.units = n
				} else {
					d.unit = n
				}
				return nil
			})
		case 3: // what this one is charged
			d.saysHits = true
			return fields(v, func(_ protowire.Number, _ []byte, n uint64) error { d.hits = n; return nil })
		}
		return nil
	})
	return d, err
}

// fields calls f with each field of a message: its bytes, or its number.
func fields(b []byte, f func(field protowire.Number, v []byte, n uint64) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(field, v, n); err != nil {
			return err
		}
	}
	return nil
}

func number(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func message(b []byte, field protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), inner)
}
