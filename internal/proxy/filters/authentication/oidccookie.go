package authentication

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// hostPrefix has browsers take the cookie from this very host alone, by https
	// (RFC 6265bis §4.1.3.2).
	hostPrefix = "__Host-"
	// maxCookie is what of a value fits into a cookie that every browser takes: 4096
	// bytes with its name and attributes.
	maxCookie = 3800
	// maxCookies is how many a session takes.
	maxCookies = 5
	// maxAttempts is how many logins of one browser may be under way.
	maxAttempts = 5
	// stateInName is how much of an attempt's state its cookie's name has.
	stateInName  = 8
	attemptInfix = "-login-"
)

// jar is the cookies of a request that are the method's own.
type jar struct {
	name    string
	https   bool
	session []byte
	// pieces and attempts are the names of the cookies that there are.
	pieces   []string
	attempts []string
	values   map[string][]byte
}

// owns tells whether a cookie is one of the method's, whatever brought it.
func (o *oidc) owns(name []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(name, []byte(hostPrefix)), []byte(o.config.Cookie))
	return ok && (len(rest) == 0 || rest[0] == '-')
}

// jar takes the method's cookies out of the request's. A session is in cookie NAME,
// whose value begins with the number of cookies and a dot, and goes on in NAME-1,
// NAME-2 and so on.
func (o *oidc) jar(x *filter.Exchange) *jar {
	https, _ := secure(x)
	j := &jar{name: o.config.Cookie, https: https}
	if https {
		j.name = hostPrefix + j.name
	}
	h := &x.Req.Header
	for i := 0; h.Has(httpmsg.NameCookie) && i < h.Len(); i++ {
		if f := h.At(i); f.ID == httpmsg.NameCookie {
			for pair, rest := nextCookie(f.Value); pair != nil; pair, rest = nextCookie(rest) {
				j.add(pair)
			}
		}
	}
	j.session = j.joined()
	return j
}

func (j *jar) add(pair []byte) {
	key, value, _ := bytes.Cut(pair, []byte("="))
	rest, ok := bytes.CutPrefix(httpmsg.TrimOWS(key), []byte(j.name))
	if !ok || len(rest) > 0 && rest[0] != '-' || len(j.values) >= 2*(maxCookies+maxAttempts) {
		return
	}
	name := j.name + string(rest)
	if j.values == nil {
		j.values = map[string][]byte{}
	}
	if _, twice := j.values[name]; twice { // nobody knows which is meant
		j.values[name] = nil
		return
	}
	j.values[name] = httpmsg.TrimOWS(value)
	if strings.HasPrefix(string(rest), attemptInfix) {
		j.attempts = append(j.attempts, name)
	} else {
		j.pieces = append(j.pieces, name)
	}
}

func (j *jar) joined() []byte {
	count, text, ok := bytes.Cut(j.values[j.name], []byte("."))
	if !ok || len(count) != 1 || count[0] < '1' || count[0] > '0'+maxCookies {
		return nil
	}
	n := int(count[0] - '0')
	if n == 1 {
		return text
	}
	out := slices.Clone(text)
	for i := 1; i < n; i++ {
		piece := j.values[j.name+"-"+strconv.Itoa(i)]
		if len(piece) == 0 {
			return nil
		}
		out = append(out, piece...)
	}
	return out
}

// attributes end a cookie that lives so long; zero removes it.
func (j *jar) attributes(life time.Duration) string {
	text := "; Path=/; Max-Age=" + strconv.FormatInt(int64((life+time.Second-1)/time.Second), 10) + "; HttpOnly; SameSite=Lax"
	if j.https {
		text += "; Secure"
	}
	return text
}

func (j *jar) remove(dst [][]byte, name string) [][]byte {
	return append(dst, []byte(name+"="+j.attributes(0)))
}

// clear appends what removes the session.
func (j *jar) clear(dst [][]byte) [][]byte {
	for _, name := range j.pieces {
		dst = j.remove(dst, name)
	}
	return dst
}

// keep appends the cookies of a session, and nothing if it is too long for them.
func (j *jar) keep(dst [][]byte, l *login.Login, s *login.Session, life time.Duration) [][]byte {
	text := l.Seal(j.name, s)
	n := (len(text) + maxCookie - 1) / maxCookie
	if n == 0 || n > maxCookies {
		return dst
	}
	attributes := j.attributes(life)
	kept := make([]string, 0, n)
	for i := range n {
		piece := text[i*maxCookie : min((i+1)*maxCookie, len(text))]
		name, value := j.name, strconv.Itoa(n)+"."+string(piece)
		if i > 0 {
			name, value = j.name+"-"+strconv.Itoa(i), string(piece)
		}
		kept = append(kept, name)
		dst = append(dst, []byte(name+"="+value+attributes))
	}
	for _, name := range j.pieces { // of a session that was longer
		if !slices.Contains(kept, name) {
			dst = j.remove(dst, name)
		}
	}
	return dst
}

func (j *jar) attemptName(state string) string {
	return j.name + attemptInfix + state[:min(len(state), stateInName)]
}

// begin has the browser keep an attempt.
func (j *jar) begin(x *filter.Exchange, l *login.Login, a *login.Attempt, https bool) {
	name := j.attemptName(a.State)
	value := string(l.SealAttempt(name, a))
	x.Resp.Header.AddID(httpmsg.NameSetCookie, []byte(name+"="+value+j.attributes(login.AttemptLife)))
}

// attempt finds the one that a state is of.
func (j *jar) attempt(l *login.Login, state string) *login.Attempt {
	if len(state) < stateInName {
		return nil
	}
	name := j.attemptName(state)
	return l.OpenAttempt(name, j.values[name])
}

// end removes an attempt.
func (j *jar) end(x *filter.Exchange, state string) {
	x.Resp.Header.AddID(httpmsg.NameSetCookie, []byte(j.attemptName(state)+"="+j.attributes(0)))
}

// forgetAttempts removes what is no attempt any more and, of too many, the oldest, so
// that who opens many tabs and logs in nowhere does not fill the header.
func (j *jar) forgetAttempts(x *filter.Exchange, l *login.Login) {
	type attempt struct {
		name  string
		began int64
	}
	var live []attempt
	var gone []string
	for _, name := range j.attempts {
		if a := l.OpenAttempt(name, j.values[name]); a != nil && a.Live(x.Start) {
			live = append(live, attempt{name, a.Began})
		} else {
			gone = append(gone, name)
		}
	}
	slices.SortFunc(live, func(a, b attempt) int { return int(a.began - b.began) })
	for len(live) >= maxAttempts {
		gone, live = append(gone, live[0].name), live[1:]
	}
	for _, name := range gone {
		x.Resp.Header.AddID(httpmsg.NameSetCookie, []byte(name+"="+j.attributes(0)))
	}
}
