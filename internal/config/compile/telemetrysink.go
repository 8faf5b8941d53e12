package compile

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultSinkTimeout     = 10 * time.Second
	defaultBatchDelay      = time.Second
	defaultMetricsInterval = 30 * time.Second
	defaultStatsDInterval  = 10 * time.Second
	defaultSinkItems       = 16384
	defaultSinkBytes       = 16 << 20
	defaultFileBytes       = 100 << 20
	defaultFileCount       = 5
)

// compileTelemetrySinks reads the TelemetrySinks, ordered by name. One that is invalid
// goes on in its last good version; one whose references do not resolve is left out.
func (c *compiler) compileTelemetrySinks() []*ir.TelemetrySink {
	var out []*ir.TelemetrySink
	metrics, named := c.namedSinks()
	paths := map[string]*store.Object{}
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindTelemetrySink) {
		v, ok := o.Value.(*v1alpha1.TelemetrySink)
		if !ok {
			continue
		}
		x := sinkCompiler{newServer(c, o, "nothing goes to the sink")}
		used, spec := c.sinkInForce(o)
		if used != o {
			x.fallBack(judgeTelemetrySink(&v.Spec), used)
		}
		name := o.Key.Namespace + "/" + o.Key.Name
		if spec != nil {
			if s := x.compile(used, spec); s != nil && x.own(used, s, paths) {
				s.Metrics = metrics[name]
				out = append(out, c.sameSink(s))
			}
			if !named[name] {
				c.report(problemAt(used, "", store.Warning, "SinkNotUsed", "no TelemetryPolicy in its namespace names the sink: nothing goes there",
					"name it in sinkRefs of one"))
			}
		}
		c.say(status.Object{
			Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate(""),
			Conditions: []status.Condition{x.accepted, x.resolved},
		})
	}
	return out
}

// namedSinks are those that policies name, "namespace/name", and those among them that
// get the metrics of the process.
func (c *compiler) namedSinks() (metrics, named map[string]bool) {
	metrics, named = map[string]bool{}, map[string]bool{}
	of := map[string]bool{} // namespaces whose oldest policy about metrics was seen
	for _, p := range c.telemetry.all {
		if p.spec == nil {
			continue
		}
		namespace := p.object.Key.Namespace
		for _, list := range sinkLists(p.spec) {
			inForce := list.signal == v1alpha1.SignalMetrics && !of[namespace]
			for _, r := range list.refs {
				name := namespace + "/" + string(r.Name)
				named[name] = true
				metrics[name] = metrics[name] || inForce
			}
		}
		of[namespace] = of[namespace] || p.spec.Metrics != nil
	}
	return metrics, named
}

// sameSink is the one of the configuration before, if nothing changed.
func (c *compiler) sameSink(s *ir.TelemetrySink) *ir.TelemetrySink {
	if c.prevConfig != nil {
		for _, was := range c.prevConfig.TelemetrySinks {
			if was.Name == s.Name && reflect.DeepEqual(was, s) {
				return was
			}
		}
	}
	return s
}

// sinkInForce is the version of a TelemetrySink that is used: the object itself, its last
// good version, or nothing.
func (c *compiler) sinkInForce(o *store.Object) (*store.Object, *v1alpha1.TelemetrySinkSpec) {
	for _, one := range []*store.Object{o, c.lastGood(o)} {
		if one == nil {
			continue
		}
		if v, ok := one.Value.(*v1alpha1.TelemetrySink); ok && len(judgeTelemetrySink(&v.Spec)) == 0 {
			return one, &v.Spec
		}
	}
	return nil, nil
}

// takes tells whether a sink is for a signal.
func takes(spec *v1alpha1.TelemetrySinkSpec, signal v1alpha1.TelemetrySignal) bool {
	switch {
	case spec.OTLP != nil:
		return len(spec.OTLP.Signals) == 0 || slices.Contains(spec.OTLP.Signals, signal)
	case spec.DogStatsD != nil:
		return signal == v1alpha1.SignalMetrics
	}
	return signal == v1alpha1.SignalLogs
}

func judgeTelemetrySink(spec *v1alpha1.TelemetrySinkSpec) []fault {
	kinds := 0
	for _, given := range []bool{spec.OTLP != nil, spec.DogStatsD != nil, spec.File != nil, spec.StandardOutput != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return []fault{{field: "spec", code: "InvalidValue", message: "exactly one of otlp, dogStatsD, file and standardOutput must be given"}}
	}
	j := &sinkJudge{}
	switch {
	case spec.OTLP != nil:
		j.otlp(spec.OTLP)
	case spec.DogStatsD != nil:
		d := spec.DogStatsD
		if path, ok := strings.CutPrefix(d.Address, "unix:"); ok {
			if !strings.HasPrefix(path, "/") {
				j.add("dogStatsD.address", fmt.Sprintf("%q is not the absolute path of a socket", path), "write it like unix:/var/run/datadog/dsd.socket")
			}
		} else if why := checkHostPort(d.Address); why != "" {
			j.add("dogStatsD.address", fmt.Sprintf("%q %s", d.Address, why), "write HOST:PORT, for example 127.0.0.1:8125, or unix:PATH")
		}
		j.within("dogStatsD.interval", d.Interval, time.Second, time.Hour)
	case spec.File != nil:
		f := spec.File
		if !strings.HasPrefix(f.Path, "/") || strings.HasSuffix(f.Path, "/") || strings.ContainsRune(f.Path, 0) {
			j.add("file.path", fmt.Sprintf("%q is not the absolute path of a file", f.Path), "write it like /var/log/gridway/access.log")
		}
		j.within("file.maxAge", f.MaxAge, time.Minute, 8760*time.Hour)
	}
	return j.faults
}

type sinkJudge struct{ faults []fault }

func (j *sinkJudge) add(field, message, remedy string) {
	j.faults = append(j.faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
}

func (j *sinkJudge) within(field string, d *gwv1.Duration, least, most time.Duration) {
	if d == nil {
		return
	}
	if f := judgeWithin("spec."+field, *d, least, most); f != nil {
		j.faults = append(j.faults, *f)
	}
}

func (j *sinkJudge) otlp(o *v1alpha1.OTLPSink) {
	a, why := sinkAddress(o)
	switch {
	case a.user:
		j.add("otlp.address", "has a user, which everybody who reads the object can see", "leave it out, and give what the receiver wants to know by headers")
	case why != "":
		j.add("otlp.address", fmt.Sprintf("%q %s", o.Address, why), "write HOST:PORT, http://HOST:PORT or https://HOST:PORT, for example collector.internal:4317")
	case a.clear && o.TLS != nil:
		j.add("otlp.tls", "goes with an https:// address, or one of HOST:PORT", "write https://"+a.address)
	case a.path != "" && deref(o.Protocol, v1alpha1.OTLPOverGRPC) == v1alpha1.OTLPOverGRPC:
		j.add("otlp.address", "an address with a path needs protocol HTTP", "leave out "+a.path)
	}
	for i, h := range o.Headers {
		at, lower := fmt.Sprintf("otlp.headers[%d]", i), strings.ToLower(string(h.Name))
		switch {
		case !isToken(string(h.Name)):
			j.add(at+".name", fmt.Sprintf("%q is not a header name", h.Name), "")
		case slices.Contains(framing, lower) || strings.HasPrefix(lower, "grpc-") || slices.Contains([]string{"content-type", "content-encoding", "host", "te", "user-agent"}, lower):
			j.add(at+".name", fmt.Sprintf("header %s is the protocol's own and cannot be set", h.Name), "")
		case (h.Value != nil) == (h.ValueSecretRef != nil):
			j.add(at, "exactly one of value and valueSecretRef must be given", "")
		case strings.ContainsFunc(deref(h.Value, ""), notInHeaderText):
			j.add(at+".value", "a header value sent by HTTP/2 is of visible ASCII characters and blanks", "")
		}
	}
	j.within("otlp.timeout", o.Timeout, 100*time.Millisecond, 2*time.Minute)
	j.within("otlp.batchDelay", o.BatchDelay, 10*time.Millisecond, time.Minute)
	j.within("otlp.metricsInterval", o.MetricsInterval, time.Second, time.Hour)
}

// notInHeaderText is what metadata of gRPC cannot have.
func notInHeaderText(r rune) bool { return r < ' ' || r > '~' }

// receiver is where a receiver of OTLP is.
type receiver struct {
	address, path string
	// clear and secure are said by the scheme; neither is where there is none.
	clear, secure bool
	user          bool // and nothing else was read
}

// sinkAddress reads OTLPSink.Address; why says what is wrong with it.
func sinkAddress(o *v1alpha1.OTLPSink) (r receiver, why string) {
	if !strings.Contains(o.Address, "://") {
		r.address = o.Address
		return r, checkHostPort(o.Address)
	}
	u, err := url.Parse(o.Address)
	switch {
	case err != nil:
		return r, "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return r, "has a scheme that is neither http nor https"
	case u.User != nil:
		r.user = true
		return r, ""
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return r, "has a query or a fragment"
	case u.Hostname() == "":
		return r, "has no host"
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	r.address, r.path = net.JoinHostPort(u.Hostname(), port), strings.TrimRight(u.EscapedPath(), "/")
	r.secure = u.Scheme == "https"
	r.clear = !r.secure
	return r, checkHostPort(r.address)
}

// sinkCompiler is the work on one TelemetrySink.
type sinkCompiler struct{ *server }

// own refuses a file that another sink has: both would rotate it.
func (x sinkCompiler) own(used *store.Object, s *ir.TelemetrySink, paths map[string]*store.Object) bool {
	if s.File == nil {
		return true
	}
	if by := paths[s.File.Path]; by != nil {
		message := fmt.Sprintf("%s is the file of %s already", s.File.Path, by.Key)
		x.accepted.Status, x.accepted.Reason, x.accepted.Message = status.False, "Conflicted", message
		x.report(problemAt(used, "spec.file.path", store.Error, "Conflicted", message, "name another file, or the other sink in sinkRefs"))
		return false
	}
	paths[s.File.Path] = x.object
	return true
}

// compile returns nil if the sink cannot be spoken to as it should.
func (x sinkCompiler) compile(used *store.Object, spec *v1alpha1.TelemetrySinkSpec) *ir.TelemetrySink {
	q := deref(spec.Queue, v1alpha1.SinkQueue{})
	out := &ir.TelemetrySink{
		Name: x.object.Key.Namespace + "/" + x.object.Key.Name, Ref: ref(used, "spec"),
		QueueItems: int(deref(q.MaxItems, defaultSinkItems)), QueueBytes: deref(q.MaxBytes, defaultSinkBytes),
		StandardOutput: spec.StandardOutput != nil,
	}
	if d := spec.DogStatsD; d != nil {
		out.DogStatsD = &ir.DogStatsDSink{Address: d.Address, Prefix: deref(d.Prefix, ""), Tags: emptyAsNil(d.Tags), Interval: duration(d.Interval, defaultStatsDInterval)}
	}
	if f := spec.File; f != nil {
		out.File = &ir.FileSink{
			Path: f.Path, MaxBytes: deref(f.MaxBytes, defaultFileBytes), MaxFiles: int(deref(f.MaxFiles, defaultFileCount)),
			MaxAge: duration(f.MaxAge, 0), Compress: deref(f.Compress, false),
		}
	}
	if o := spec.OTLP; o != nil {
		if out.OTLP = x.otlp(used, o); out.OTLP == nil {
			return nil
		}
	}
	return out
}

func (x sinkCompiler) otlp(used *store.Object, o *v1alpha1.OTLPSink) *ir.OTLPSink {
	a, _ := sinkAddress(o) // it was judged
	out := &ir.OTLPSink{
		HTTP: deref(o.Protocol, v1alpha1.OTLPOverGRPC) == v1alpha1.OTLPOverHTTP, Address: a.address, Path: a.path,
		Gzip:    deref(o.Compression, v1alpha1.SinkGzip) == v1alpha1.SinkGzip,
		Timeout: duration(o.Timeout, defaultSinkTimeout), BatchDelay: duration(o.BatchDelay, defaultBatchDelay),
		MetricsInterval: duration(o.MetricsInterval, defaultMetricsInterval),
	}
	if a.secure || o.TLS != nil {
		if out.TLS = x.tls(used, "spec.otlp.tls", serverTLS(deref(o.TLS, v1alpha1.SinkTLS{}))); out.TLS == nil {
			return nil
		}
	}
	for i, h := range o.Headers {
		value := deref(h.Value, "")
		if !x.headerText(used, h.ValueSecretRef, fmt.Sprintf("spec.otlp.headers[%d].valueSecretRef", i), &value) {
			return nil
		}
		if h.Value != nil && ir.Credential(string(h.Name), value) {
			x.report(problemAt(used, fmt.Sprintf("spec.otlp.headers[%d].value", i), store.Warning, "SecretInClear",
				fmt.Sprintf("header %s carries a credential, which whoever reads the object can see", h.Name), "put it into a Secret, and name that by valueSecretRef"))
		}
		out.Headers = append(out.Headers, ir.Header{Name: string(h.Name), Value: value})
		if host, _, _ := net.SplitHostPort(a.address); out.TLS == nil && ir.Credential(string(h.Name), value) && !ir.Loopback(host) {
			x.reportOnce(problemAt(used, "spec.otlp.address", store.Warning, "CredentialUnprotected",
				fmt.Sprintf("header %s is sent to %s as it is: whoever is on the path can read it", h.Name, a.address), "set tls, or write https://"))
		}
	}
	return out
}

// headerText reads an entry of a Secret that is sent in a header.
func (x sinkCompiler) headerText(used *store.Object, r *v1alpha1.SecretKeyReference, field string, to *string) bool {
	if !x.secret(used, r, field, to) {
		return false
	}
	if r != nil && strings.ContainsFunc(*to, notInHeaderText) {
		x.unresolved(used, field, "InvalidSecretRef", fmt.Sprintf("entry %q of Secret %s/%s cannot be sent in a header: it has other characters than visible ones of ASCII and blanks",
			entryName(r), used.Key.Namespace, r.Name), "see the Secret")
		return false
	}
	return true
}
