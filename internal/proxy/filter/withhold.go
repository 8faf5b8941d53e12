package filter

import "github.com/gridway/gridway/internal/wire/httpmsg"

// Withhold takes what the client has sent under a name, or one alike, out of the
// request: out of its head now, and out of its trailer when that comes, since some
// servers make one of the two (RFC 9110 §6.5.1). The name must outlive the exchange.
func (x *Exchange) Withhold(name []byte) {
	x.Req.Header.DelFunc(func(f *httpmsg.Field) bool { return Alike(f.Name, name) })
	x.withheld = append(x.withheld, name)
}

// DropWithheld takes out of the trailer what must not pass. The pipeline calls it
// before a trailer is sent.
func (x *Exchange) DropWithheld() {
	if len(x.withheld) == 0 {
		return
	}
	x.Req.Trailer.DelFunc(func(f *httpmsg.Field) bool {
		for _, name := range x.withheld {
			if Alike(f.Name, name) {
				return true
			}
		}
		return false
	})
}
