package h3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quic-go/qpack"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var limits = Limits{HeaderBytes: 16 << 10, HeaderCount: 100}

// section encodes fields with another implementation.
func encoded(fields ...string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func get(more ...string) []byte {
	return encoded(append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/x?y=1"}, more...)...)
}

func TestStaticTableIsThatOfTheRFC(t *testing.T) {
	// The other implementation decodes each index as we do.
	for i := range static {
		block := appendIndexed(beginSection(nil), uint8(i))
		f, err := qpack.NewDecoder().Decode(block)()
		if err != nil || f.Name != string(static[i].Name) || f.Value != string(static[i].Value) {
			t.Errorf("%d: %v, %v, not %s: %s", i, f, err, static[i].Name, static[i].Value)
		}
	}
	if len(static) != 99 {
		t.Errorf("%d entries", len(static))
	}
}

func TestRequestsFromAnotherEncoder(t *testing.T) {
	var r httpmsg.Request
	bad := DecodeRequest(get("accept", "*/*", "x-my", "Ünïcode? "[:1]+"1", "cookie", "a=1", "cookie", "b=2", "user-agent", strings.Repeat("u", 300)), &limits, &r)
	if bad != nil {
		t.Fatal(bad)
	}
	got := fmt.Sprintf("%s %s %s %s %q v%d", r.Method, r.Host, r.Path, r.Query, r.Header.Get(httpmsg.NameCookie), r.Version)
	if want := `GET a.example /x y=1 "a=1; b=2" v30`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if r.Body != httpmsg.BodyChunked || r.Length != -1 {
		t.Errorf("before its end is known, content may follow: %v %d", r.Body, r.Length)
	}
	if bad := EndRequest(&r); bad != nil || r.Body != httpmsg.BodyNone || r.Length != 0 {
		t.Errorf("%v %v %d", bad, r.Body, r.Length)
	}
}

func TestMalformedRequests(t *testing.T) {
	for _, c := range []struct {
		reason string
		status int
		fields []string
	}{
		{"InvalidPseudoHeader", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", "a", "b", ":authority", "a"}},
		{"InvalidPseudoHeader", 0, []string{":method", "GET", ":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a"}},
		{"InvalidPseudoHeader", 0, []string{":method", "GET", ":scheme", "https", ":authority", "a"}},
		{"InvalidPseudoHeader", 0, []string{":method", "GET", ":scheme", "https", ":path", "", ":authority", "a"}},
		{"InvalidPseudoHeader", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", ":protocol", "websocket"}},
		{"InvalidPseudoHeader", 0, []string{":method", "CONNECT", ":scheme", "https", ":path", "/", ":authority", "a"}},
		{"InvalidPseudoHeader", 0, []string{":status", "200"}},
		{"InvalidMethod", 0, []string{":method", "G T", ":scheme", "https", ":path", "/", ":authority", "a"}},
		{"InvalidFieldName", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "Upper", "x"}},
		{"InvalidFieldName", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "a b", "x"}},
		{"InvalidFieldValue", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "x", "a\r\nb: c"}},
		{"InvalidFieldValue", 0, []string{":method", "GET", ":scheme", "https", ":path", "/\x00", ":authority", "a"}},
		{"ConnectionField", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "connection", "close"}},
		{"ConnectionField", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "transfer-encoding", "chunked"}},
		{"ConnectionField", 0, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "te", "gzip"}},
		{"InvalidContentLength", 0, []string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "a", "content-length", "+1"}},
		{"InvalidContentLength", 0, []string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "a", "content-length", "1", "content-length", "1"}},
		{"InvalidHost", 400, []string{":method", "GET", ":scheme", "https", ":path", "/"}},
		{"InvalidHost", 400, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "host", "b"}},
		{"UnsupportedScheme", 400, []string{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"}},
		{"InvalidPath", 400, []string{":method", "GET", ":scheme", "https", ":path", "/../../x", ":authority", "a"}},
		{"InvalidPath", 400, []string{":method", "GET", ":scheme", "https", ":path", "x", ":authority", "a"}},
		{"InvalidConnectTarget", 400, []string{":method", "CONNECT", ":authority", "a"}},
		{"UnknownExpectation", 417, []string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "a", "expect", "x"}},
		{"HeaderTooLarge", 431, []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "x", strings.Repeat("y", 17<<10)}},
	} {
		var r httpmsg.Request
		bad := DecodeRequest(encoded(c.fields...), &limits, &r)
		if bad == nil || bad.Reason != c.reason || bad.Status != c.status || bad.Conn {
			t.Errorf("%q: %+v, not %s", c.fields, bad, c.reason)
		}
		if bad != nil && bad.Status != 0 && len(r.Path) == 0 {
			t.Errorf("%q: a request that is answered has no path", c.fields)
		}
	}
}

func TestTooManyFields(t *testing.T) {
	var more []string
	for i := range 101 {
		more = append(more, fmt.Sprint("x-", i), "y")
	}
	var r httpmsg.Request
	if bad := DecodeRequest(get(more...), &limits, &r); bad == nil || bad.Reason != "TooManyFields" {
		t.Error(bad)
	}
}

// A section that stands for far more than its bytes takes no more memory than its limit.
func TestSectionBomb(t *testing.T) {
	block := get()
	for range 50_000 {
		block = appendIndexed(block, 57) // 57 bytes of value in two
	}
	var r httpmsg.Request
	if bad := DecodeRequest(block, &limits, &r); bad == nil || bad.Status != 431 {
		t.Error(bad)
	}
	if n := r.Header.Len(); n > 200 {
		t.Errorf("%d fields were kept", n)
	}
}

func TestDynamicTableIsRefused(t *testing.T) {
	for name, block := range map[string][]byte{
		"required insert count": {1, 0, 0xc0},
		"negative base":         {0, 0x80, 0xc0},
		"indexed":               {0, 0, 0x80},
		"post-base index":       {0, 0, 0x10},
		"name reference":        {0, 0, 0x40, 0},
		"post-base name":        {0, 0, 0x00, 0},
		"beyond the table":      {0, 0, 0xff, 99 - 63},
		"cut off":               {0, 0, 0x51, 5, 'a'},
		"empty":                 {},
		"half a prefix":         {0},
		"Huffman EOS":           {0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff},
	} {
		var r httpmsg.Request
		if bad := DecodeRequest(block, &limits, &r); bad != errCompression {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func TestWhatIsWrittenAnotherDecoderReads(t *testing.T) {
	var r httpmsg.Request
	if bad := DecodeRequest(get("accept", "*/*", "x-odd", "a;b", "authorization", "secret"), &limits, &r); bad != nil {
		t.Fatal(bad)
	}
	r.Header.At(2).Sensitive = true
	r.Header.Add([]byte("X-Mixed-Case"), []byte("1"))
	r.Scheme = "https"
	r.Body, r.Length = httpmsg.BodyLength, 12
	got := decoded(t, AppendRequest(nil, &r))
	want := []string{":method=GET", ":scheme=https", ":path=/x?y=1", ":authority=a.example", "accept=*/*", "x-odd=a;b", "authorization=secret", "x-mixed-case=1", "content-length=12"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	resp := httpmsg.Response{Status: 418, Body: httpmsg.BodyLength, Length: 3}
	resp.Header.Add([]byte("Connection"), []byte("close"))
	resp.Header.Add([]byte("Content-Type"), []byte("text/plain"))
	got = decoded(t, AppendResponse(nil, &resp))
	if want := []string{":status=418", "content-type=text/plain", "content-length=3"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	var again httpmsg.Response
	var arena httpmsg.Arena
	if bad := DecodeResponse(AppendResponse(nil, &resp), &limits, httpmsg.MethodGet, &again, &arena); bad != nil || again.Status != 418 || again.Length != 3 {
		t.Errorf("%v %d %d", bad, again.Status, again.Length)
	}
}

func decoded(t *testing.T, block []byte) (out []string) {
	t.Helper()
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Name+"="+f.Value)
	}
}

func frame(typ FrameType, payload []byte) []byte {
	return append(AppendFrameHeader(nil, typ, len(payload)), payload...)
}

// message reads a request from a stream, however its bytes come.
func message(src io.Reader) (head, content string, trailer int, err error) {
	var r Reader
	r.Reset(src)
	defer r.Release()
	length, err := Head(&r)
	if err != nil {
		return "", "", 0, err
	}
	if length > uint64(limits.HeaderBytes) {
		return "", "", 0, TooLarge(new(httpmsg.Request))
	}
	block, err := r.Payload(make([]byte, 0, length))
	if err != nil {
		return "", "", 0, err
	}
	var req httpmsg.Request
	if bad := DecodeRequest(block, &limits, &req); bad != nil {
		return "", "", 0, bad
	}
	var b Body
	b.Begin(req.Length, &limits)
	var h httpmsg.Header
	var arena httpmsg.Arena
	for {
		piece, err := b.Next(&r, make([]byte, 16<<10), &h, &arena)
		content += string(piece)
		if err == io.EOF {
			return string(req.Path), content, h.Len(), nil
		}
		if err != nil {
			return "", content, 0, err
		}
	}
}

func TestMessages(t *testing.T) {
	big := strings.Repeat("content ", 10_000)
	whole := slices.Concat(
		frame(0x21, []byte("grease")), frame(FrameHeaders, get()), frame(FrameData, []byte("one ")), frame(FrameData, nil),
		frame(0x1f*3+0x21, nil), frame(FrameData, []byte(big)), frame(FrameHeaders, encoded("x-sum", "1", "content-length", "5")), frame(0x40, []byte("x")))
	for name, src := range map[string]io.Reader{
		"at once": bytes.NewReader(whole), "by bytes": iotest.OneByteReader(bytes.NewReader(whole)), "in halves": iotest.HalfReader(bytes.NewReader(whole)),
		"with the end": iotest.DataErrReader(bytes.NewReader(whole)),
	} {
		path, content, trailer, err := message(src)
		if err != nil || path != "/x" || content != "one "+big || trailer != 1 {
			t.Errorf("%s: %q, %d bytes, %d fields, %v", name, path, len(content), trailer, err)
		}
	}
	for n := range len(whole) - len(big) - 20 {
		if _, _, _, err := message(bytes.NewReader(whole[:n])); err == nil && n < 30 {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
}

func TestBadMessages(t *testing.T) {
	head := frame(FrameHeaders, get())
	sized := frame(FrameHeaders, get("content-length", "3"))
	for name, c := range map[string]struct {
		bytes []byte
		want  *Error
	}{
		"content first":           {frame(FrameData, []byte("x")), errUnexpected},
		"settings":                {frame(FrameSettings, nil), errUnexpected},
		"a frame of HTTP/2":       {slices.Concat(head, frame(0x6, nil)), errUnexpected},
		"push":                    {slices.Concat(head, frame(FramePushPromise, []byte{1})), errUnexpected},
		"content behind trailers": {slices.Concat(head, frame(FrameHeaders, encoded("a", "b")), frame(FrameData, []byte("x"))), errUnexpected},
		"pseudo-header at end":    {slices.Concat(head, frame(FrameHeaders, encoded(":path", "/"))), errPseudo},
		"too long":                {slices.Concat(sized, frame(FrameData, []byte("four"))), errLengthMismatch},
		"too short":               {slices.Concat(sized, frame(FrameData, []byte("2"))), errLengthMismatch},
		"cut off":                 {slices.Concat(head, AppendFrameHeader(nil, FrameData, 10), []byte("x")), errFrameSize},
		"flood":                   {slices.Concat(head, bytes.Repeat(frame(FrameData, nil), 1000)), errFlood},
		"unknown flood":           {slices.Concat(head, frame(0x21, make([]byte, 600<<10))), errFlood},
		"long trailer":            {slices.Concat(head, frame(FrameHeaders, make([]byte, 20<<10))), errTrailer},
	} {
		_, _, _, err := message(bytes.NewReader(c.bytes))
		if bad, ok := AsError(err); !ok || bad != c.want {
			t.Errorf("%s: %v, not %v", name, err, c.want)
		}
	}
}

func TestWhole(t *testing.T) {
	for content, wanted := range map[string]bool{"abc": true, "ab": false} {
		var r Reader
		r.Reset(iotest.DataErrReader(bytes.NewReader(frame(FrameData, []byte(content)))))
		if _, err := r.Await(); err != nil {
			t.Fatal(err)
		}
		var b Body
		b.Begin(3, &limits)
		got, ok, err := b.Whole(&r)
		if ok != wanted || wanted && string(got) != content || !wanted && err == nil {
			t.Errorf("%q: %q %v %v", content, got, ok, err)
		}
	}
}

func TestPriorityUpdates(t *testing.T) {
	var got []string
	p := Peer{Client: true, OnPriority: func(id uint64, urgency uint8, incremental bool) {
		got = append(got, fmt.Sprint(id, " ", urgency, " ", incremental))
	}}
	var r Reader
	r.Reset(bytes.NewReader(slices.Concat([]byte{0}, AppendSettings(nil, Settings{}),
		frame(FramePriorityUpdate, []byte("\x00u=1")), frame(FramePriorityUpdate, []byte("\x08i")), frame(FramePriorityUpdate, []byte("\x04")))))
	if known, err := p.Uni(&r); !known || err != errClosedControl {
		t.Error(known, err)
	}
	if want := []string{"0 1 false", "8 3 true", "4 3 false"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	r.Reset(bytes.NewReader(slices.Concat(AppendSettings(nil, Settings{}), frame(FramePriorityUpdate, []byte("\x00u=1")))))
	if err := new(Peer).Control(&r); err != errUnexpected {
		t.Errorf("from a server: %v", err)
	}
}

func TestControlStreams(t *testing.T) {
	settings := AppendSettings(nil, Settings{MaxFieldSection: 1 << 20})
	number := func(typ FrameType, v uint64) []byte { return frame(typ, AppendVarint(nil, v)) }
	for name, c := range map[string]struct {
		bytes []byte
		want  *Error
	}{
		"only settings":      {settings, errClosedControl},
		"all there is":       {slices.Concat(settings, frame(0x21, []byte("x")), number(FrameMaxPushID, 3), number(FrameCancelPush, 2), number(FrameGoAway, 0), frame(FramePriorityUpdate, []byte("\x00u=1"))), errClosedControl},
		"no settings":        {number(FrameGoAway, 0), errMissingSettings},
		"settings twice":     {slices.Concat(settings, settings), errUnexpected},
		"same setting":       {frame(FrameSettings, []byte{6, 1, 6, 1}), errSettings},
		"setting of HTTP/2":  {frame(FrameSettings, []byte{4, 1}), errSettings},
		"half a setting":     {frame(FrameSettings, []byte{6}), errFrameSize},
		"huge settings":      {frame(FrameSettings, make([]byte, 5<<10)), errSettings},
		"push ID back":       {slices.Concat(settings, number(FrameMaxPushID, 3), number(FrameMaxPushID, 2)), errID},
		"unknown push":       {slices.Concat(settings, number(FrameCancelPush, 2)), errID},
		"goaway up":          {slices.Concat(settings, number(FrameGoAway, 1), number(FrameGoAway, 2)), errID},
		"long number":        {slices.Concat(settings, frame(FrameGoAway, []byte{1, 1})), errFrameSize},
		"headers":            {slices.Concat(settings, frame(FrameHeaders, get())), errUnexpected},
		"flood":              {slices.Concat(settings, bytes.Repeat(number(FrameGoAway, 0), 300)), errFlood},
		"priority of a push": {slices.Concat(settings, frame(FramePriorityUpdate, []byte("\x02u=1"))), errID},
		"priority of what":   {slices.Concat(settings, frame(FramePriorityUpdate, nil)), errFrameSize},
		"long priority":      {slices.Concat(settings, frame(FramePriorityUpdate, make([]byte, 300))), errClosedControl},
		"priority flood":     {slices.Concat(settings, bytes.Repeat(frame(FramePriorityUpdate, []byte("\x00")), 300)), errFlood},
	} {
		var r Reader
		r.Reset(bytes.NewReader(c.bytes))
		p := Peer{Client: true}
		if bad, ok := AsError(p.Control(&r)); !ok || bad != c.want {
			t.Errorf("%s: %v, not %v", name, bad, c.want)
		}
	}
}

func TestInstructionStreams(t *testing.T) {
	for name, c := range map[string]struct {
		encoder bool
		bytes   []byte
		want    *Error
	}{
		"capacity of nothing": {true, []byte{0x20, 0x20}, errClosedControl},
		"capacity":            {true, []byte{0x3f, 0x10}, errEncoderStream},
		"insertion":           {true, []byte{0xc0, 0x01, 'x'}, errEncoderStream},
		"cancelled streams":   {false, []byte{0x44, 0x7f, 0x80, 0x01}, errClosedControl},
		"acknowledgement":     {false, []byte{0x80}, errDecoderStream},
		"increment":           {false, []byte{0x01}, errDecoderStream},
		"endless integer":     {false, bytes.Repeat([]byte{0xff}, 20), errDecoderStream},
	} {
		var r Reader
		r.Reset(iotest.OneByteReader(bytes.NewReader(c.bytes)))
		var p Peer
		err := p.Decoder(&r)
		if c.encoder {
			r.Reset(iotest.OneByteReader(bytes.NewReader(c.bytes)))
			err = p.Encoder(&r)
		}
		if bad, ok := AsError(err); !ok || bad != c.want {
			t.Errorf("%s: %v, not %v", name, err, c.want)
		}
	}
}

func TestVarints(t *testing.T) {
	for _, v := range []uint64{0, 63, 64, 16383, 16384, 1<<30 - 1, 1 << 30, maxVarint} {
		b := AppendVarint(nil, v)
		if got, n := ReadVarint(b); got != v || n != len(b) || n != varintLen(v) {
			t.Errorf("%d: %d, %d of %d", v, got, n, len(b))
		}
		if _, n := ReadVarint(b[:len(b)-1]); n != 0 {
			t.Errorf("%d: read although it is cut off", v)
		}
	}
}

// RFC 9220: extended CONNECT, from another encoder and from our own.
func TestExtendedConnect(t *testing.T) {
	block := encoded(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a.example", ":path", "/chat?room=1", "sec-websocket-version", "13")
	for range 2 {
		var r httpmsg.Request
		if bad := DecodeRequest(block, &limits, &r); bad != nil {
			t.Fatal(bad)
		}
		if got := fmt.Sprintf("%s %s %s %s?%s", r.Method, r.Upgrade, r.Host, r.Path, r.Query); got != "CONNECT websocket a.example /chat?room=1" {
			t.Errorf("%s", got)
		}
		// What was a GET with an upgrade in HTTP/1.1 is written so too.
		r.Method, r.MethodID, r.Scheme = []byte("GET"), httpmsg.MethodGet, "https"
		block = AppendRequest(nil, &r)
	}
	var resp httpmsg.Response
	var arena httpmsg.Arena
	if bad := DecodeResponse(encoded(":status", "200", "content-length", "5"), &limits, httpmsg.MethodConnect, &resp, &arena); bad != nil || resp.Body != httpmsg.BodyChunked || resp.Length != -1 {
		t.Errorf("what follows is a tunnel: %v, length %d", bad, resp.Length)
	}
}

func TestExtendedConnectSetting(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		want    Settings
		bad     bool
	}{
		{AppendSettings(nil, Settings{MaxFieldSection: 500, ExtendedConnect: true})[2:], Settings{500, true}, false},
		{[]byte{8, 0}, Settings{}, false},
		{[]byte{8, 2}, Settings{}, true},
		{[]byte{8, 1, 8, 1}, Settings{}, true},
	} {
		if s, bad := parseSettings(c.payload); (bad != nil) != c.bad || bad == nil && s != c.want {
			t.Errorf("% x: %v, %v", c.payload, s, bad)
		}
	}
}

// pausing gives one byte at a time, and fails for a deadline before each.
type pausing struct {
	b    []byte
	fail bool
}

func (p *pausing) Read(to []byte) (int, error) {
	if p.fail = !p.fail; p.fail {
		return 0, os.ErrDeadlineExceeded
	}
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(to[:1], p.b)
	p.b = p.b[n:]
	return n, nil
}

// A tunnel goes on after deadlines, wherever they come, and has nothing but content.
func TestTunnelsSurviveDeadlines(t *testing.T) {
	content := bytes.Repeat([]byte("tunnel"), 50)
	in := slices.Concat(frame(FrameData, content), frame(0x4021, []byte("unknown")), frame(FramePriorityUpdate, []byte("\x00u=1")), frame(FrameData, nil), frame(FrameData, []byte("!")))
	for _, headers := range []bool{false, true} {
		if headers {
			in = append(in, frame(FrameHeaders, get())...)
		}
		var r Reader
		var b Body
		r.Reset(&pausing{b: in})
		b.Begin(3, &limits)
		b.Connect()
		var got []byte
		var err error
		for deadlines := 0; ; {
			var piece []byte
			piece, err = b.Next(&r, nil, nil, nil)
			got = append(got, piece...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				if deadlines++; deadlines > 2*len(in)+2 {
					t.Fatal("no progress")
				}
				continue
			}
			if err != nil {
				break
			}
		}
		r.Release()
		if want := string(content) + "!"; string(got) != want || headers && err != errUnexpected || !headers && err != io.EOF {
			t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
		}
	}
}
