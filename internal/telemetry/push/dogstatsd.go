package push

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/gridway/gridway/internal/ir"
)

const (
	// maxUDP is what fits a datagram on an Ethernet with a tunnel or two, maxUnix what
	// Datadog's agent reads at once.
	maxUDP, maxUnix = 1432, 8192
	// sendWithin bounds how long one push may wait for a receiver that does not read.
	sendWithin = time.Second
)

// statsd sends datagrams of DogStatsD: counters as what was added since the last push,
// gauges as they are, and histograms as distributions, a value in the middle of each
// bucket with the rate that stands for how many were added. A datagram that cannot be
// sent is lost, as the protocol has it, and counted.
type statsd struct {
	cfg    *ir.DogStatsDSink
	tags   string
	max    int
	conn   net.Conn
	before map[string]uint64 // of counters and buckets, by series
	counts
	packet []byte
	lines  uint64 // in packet
	until  time.Time
	err    error // the first of a push

	mu   sync.Mutex // guards last
	last State
}

func newStatsd(cfg *ir.DogStatsDSink) *statsd {
	s := &statsd{cfg: cfg, max: maxUDP, before: map[string]uint64{}}
	if strings.HasPrefix(cfg.Address, "unix:") {
		s.max = maxUnix
	}
	for i, t := range cfg.Tags {
		if i > 0 {
			s.tags += ","
		}
		s.tags += clean(t)
	}
	return s
}

func (s *statsd) every() time.Duration { return s.cfg.Interval }

func (s *statsd) state() State {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	last.Sent, last.Dropped, last.Failed, last.TooLong = s.sent.Load(), s.dropped.Load(), s.failed.Load(), s.tooLong.Load()
	return last
}

func (s *statsd) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// prime takes what was counted before the sink was there for known. What it learns of is
// what comes after.
func (s *statsd) prime(families []*dto.MetricFamily, _ time.Time) {
	s.each(families, func(string, float64, byte, float64, string) {})
}

func (s *statsd) send(families []*dto.MetricFamily, now time.Time) {
	s.err = nil
	s.dial()
	s.until = now.Add(sendWithin)
	s.each(families, s.line)
	s.flush()
	s.note(now)
}

// note remembers how a push has gone.
func (s *statsd) note(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.err == nil
	if !s.last.Asked || s.last.Up != up {
		s.last.Since = now
	}
	s.last.Asked, s.last.Up, s.last.Problem = true, up, ""
	if up {
		s.last.LastSent = now
		return
	}
	s.last.Problem, s.last.LastFailed = s.err.Error(), now
}

// fails keeps the first error of a push.
func (s *statsd) fails(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *statsd) dial() {
	if s.conn != nil {
		return
	}
	network, address := "udp", s.cfg.Address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unixgram", path
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendWithin)
	defer cancel()
	// A name that cannot be resolved, or a socket that is not there, is tried again at
	// the next push.
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		s.fails(err)
		return
	}
	s.conn = c
}

// each calls f with what is to be sent: the name, the value, its kind, the sample rate
// and the tags. What is not there any more is forgotten.
func (s *statsd) each(families []*dto.MetricFamily, f func(name string, v float64, kind byte, rate float64, tags string)) {
	after := make(map[string]uint64, len(s.before))
	added := func(series string, n uint64) uint64 {
		after[series] = n
		if before := s.before[series]; before <= n {
			return n - before
		}
		return n // it began anew
	}
	for _, family := range families {
		name := s.name(family.GetName())
		for _, m := range family.Metric {
			tags := s.tagsOf(m)
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				if n := added(name+"|"+tags, uint64(max(m.GetCounter().GetValue(), 0))); n > 0 {
					f(name, float64(n), 'c', 1, tags)
				}
			case dto.MetricType_GAUGE:
				if v := m.GetGauge().GetValue(); !math.IsNaN(v) && !math.IsInf(v, 0) {
					f(name, v, 'g', 1, tags)
				}
			case dto.MetricType_HISTOGRAM:
				eachBucket(m.GetHistogram(), func(middle float64, n uint64) {
					series := name + "|" + strconv.FormatFloat(middle, 'g', 6, 64) + "|" + tags
					if n := added(series, n); n > 0 {
						f(name, middle, 'd', 1/float64(n), tags)
					}
				})
			}
		}
	}
	s.before = after
}

// eachBucket calls f with a value in the middle of each bucket that is not empty: of the
// native ones where there are any.
func eachBucket(h *dto.Histogram, f func(middle float64, n uint64)) {
	if h.Schema != nil {
		if n := h.GetZeroCount(); n > 0 {
			f(h.GetZeroThreshold()/2, n)
		}
		first, counts := nativeBuckets(h)
		base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
		for i, n := range counts {
			if n > 0 {
				f(math.Pow(base, float64(first+i)-0.5), n)
			}
		}
		return
	}
	low, before := 0.0, uint64(0)
	for _, k := range h.Bucket {
		high := k.GetUpperBound()
		if n := k.GetCumulativeCount() - before; n > 0 && !math.IsInf(high, 1) {
			f((low+high)/2, n)
		}
		if !math.IsInf(high, 1) {
			low, before = high, k.GetCumulativeCount()
		}
	}
	if n := h.GetSampleCount() - before; n > 0 {
		f(low, n)
	}
}

// name is "PREFIX.gridway.route_requests" for gridway_route_requests_total.
func (s *statsd) name(of string) string {
	name := strings.TrimSuffix(of, "_total")
	if rest, ok := strings.CutPrefix(name, "gridway_"); ok {
		name = "gridway." + rest
	}
	if s.cfg.Prefix != "" {
		return strings.TrimSuffix(s.cfg.Prefix, ".") + "." + name
	}
	return name
}

func (s *statsd) tagsOf(m *dto.Metric) string {
	var b strings.Builder
	b.WriteString(s.tags)
	for _, l := range m.Label {
		if l.GetValue() == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.GetName())
		b.WriteByte(':')
		b.WriteString(clean(l.GetValue()))
	}
	return b.String()
}

// clean is text without what ends a tag or a line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || r == '|' || r == '#' || r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, text)
}

// line adds a line to the datagram, which is sent when it is full.
func (s *statsd) line(name string, v float64, kind byte, rate float64, tags string) {
	one := make([]byte, 0, 160)
	one = append(append(one, name...), ':')
	one = strconv.AppendFloat(one, v, 'g', -1, 64)
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		one = strconv.AppendInt(append(append(one[:0], name...), ':'), int64(v), 10)
	}
	one = append(one, '|', kind)
	if rate != 1 {
		one = strconv.AppendFloat(append(one, "|@"...), rate, 'g', 9, 64)
	}
	if tags != "" {
		one = append(append(one, "|#"...), tags...)
	}
	if len(one) > s.max {
		s.dropped.Add(1)
		s.tooLong.Add(1)
		return
	}
	if len(s.packet) > 0 && len(s.packet)+1+len(one) > s.max {
		s.flush()
	}
	if len(s.packet) > 0 {
		s.packet = append(s.packet, '\n')
	}
	s.packet = append(s.packet, one...)
	s.lines++
}

// flush sends the datagram. One that the receiver has no room for within the time of the
// push is dropped, and so are those after it.
func (s *statsd) flush() {
	if s.lines == 0 {
		return
	}
	lines := s.lines
	packet := s.packet
	s.packet, s.lines = s.packet[:0], 0
	if s.conn == nil {
		s.failed.Add(lines)
		return
	}
	_ = s.conn.SetWriteDeadline(s.until)
	_, err := s.conn.Write(packet)
	if err == nil {
		s.sent.Add(lines)
		return
	}
	s.fails(err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.dropped.Add(lines)
		return
	}
	s.failed.Add(lines)
	_ = s.conn.Close()
	s.conn = nil
	s.dial() // the agent may have begun anew, at the same path
}
