package hpack

import "github.com/gridway/gridway/internal/wire/httpmsg"

// staticFields are those of RFC 7541 Appendix A, from index 1.
var staticFields = [...][2]string{
	{":authority", ""},
	{":method", "GET"},
	{":method", "POST"},
	{":path", "/"},
	{":path", "/index.html"},
	{":scheme", "http"},
	{":scheme", "https"},
	{":status", "200"},
	{":status", "204"},
	{":status", "206"},
	{":status", "304"},
	{":status", "400"},
	{":status", "404"},
	{":status", "500"},
	{"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"},
	{"accept-language", ""},
	{"accept-ranges", ""},
	{"accept", ""},
	{"access-control-allow-origin", ""},
	{"age", ""},
	{"allow", ""},
	{"authorization", ""},
	{"cache-control", ""},
	{"content-disposition", ""},
	{"content-encoding", ""},
	{"content-language", ""},
	{"content-length", ""},
	{"content-location", ""},
	{"content-range", ""},
	{"content-type", ""},
	{"cookie", ""},
	{"date", ""},
	{"etag", ""},
	{"expect", ""},
	{"expires", ""},
	{"from", ""},
	{"host", ""},
	{"if-match", ""},
	{"if-modified-since", ""},
	{"if-none-match", ""},
	{"if-range", ""},
	{"if-unmodified-since", ""},
	{"last-modified", ""},
	{"link", ""},
	{"location", ""},
	{"max-forwards", ""},
	{"proxy-authenticate", ""},
	{"proxy-authorization", ""},
	{"range", ""},
	{"referer", ""},
	{"refresh", ""},
	{"retry-after", ""},
	{"server", ""},
	{"set-cookie", ""},
	{"strict-transport-security", ""},
	{"transfer-encoding", ""},
	{"user-agent", ""},
	{"vary", ""},
	{"via", ""},
	{"www-authenticate", ""},
}

// staticLen is the highest index of the static table.
const staticLen = len(staticFields)

// Indices that the encoder writes by number.
const (
	staticAuthority = 1
	staticMethod    = 2 // GET, then POST
	staticPath      = 4 // "/"
	staticScheme    = 6 // http, then https
	staticStatus    = 8 // 200, then those of staticStatuses
)

var staticStatuses = [...]int{200, 204, 206, 304, 400, 404, 500}

// static is staticFields as they are handed out, with an unused first one so
// that an index is an index; staticName has the lowest index of well-known names.
var static, staticName = buildStatic()

func buildStatic() (fields [staticLen + 1]Field, byName [256]uint8) {
	for i, s := range staticFields {
		f := &fields[i+1]
		f.Name, f.Value = []byte(s[0]), []byte(s[1])
		f.ID, f.Pseudo, _ = identify(f.Name)
		if f.ID != httpmsg.NameOther && byName[f.ID] == 0 {
			byName[f.ID] = uint8(i + 1)
		}
	}
	return fields, byName
}
