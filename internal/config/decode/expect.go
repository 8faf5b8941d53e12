package decode

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

// expectation says in words what a pattern of the schemas asks for.
func expectation(shownValue, pattern string) (message, remedy string) {
	const name = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	const names = name + `(\.` + name + `)*`
	var what string
	switch pattern {
	case `^([0-9]{1,5}(h|m|s|ms)){1,4}$`:
		what, remedy = "a duration", "write whole numbers with units h, m, s or ms, as in 500ms, 10s or 1m30s"
	case "^" + names + "$":
		what, remedy = "a name in lower case", "use letters, digits, - and ., as in example.com"
	case "^$|^" + names + "$":
		what, remedy = "an API group", `use a name such as gateway.networking.k8s.io, or "" for the core group`
	case "^" + name + "$":
		what, remedy = "a name in lower case", "use letters, digits and -, beginning and ending with a letter or digit"
	case `^(\*\.)?` + names + "$":
		what, remedy = "a hostname", "write it in lower case without scheme or port, as in example.com or *.example.com"
	case `^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$`:
		what, remedy = "a kind", "use letters and digits, as in Service"
	case "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$":
		what, remedy = "a header name", "use letters, digits and -, without spaces or :"
	case `^[!-~]+([\t ]?[!-~]+)*$`:
		what, remedy = "a header value", "use printable ASCII with single spaces inside, and none at the ends"
	case `^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`:
		what, remedy = "a label value", "use letters, digits, -, _ and ., beginning and ending with a letter or digit"
	case `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`:
		what, remedy = "a condition reason", "use CamelCase"
	case `^[1-9][0-9]{0,9}/([1-9][0-9]{0,3})?[smhd]$`:
		what, remedy = "a rate", "write a number, a slash and a time in s, m, h or d, as in 100/s, 5/10s or 600/m"
	case `^[1-9][0-9]{0,11}([KMG]i?)?B/s$`:
		what, remedy = "a bandwidth", "write a number, a unit and /s, as in 500B/s, 100KB/s or 10MiB/s"
	case `^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/(\*|(\*\+)?[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$`:
		what, remedy = "a media type", "write it without parameters, as in application/json, image/* or application/*+json"
	case `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`:
		what, remedy = "a name", "use letters, digits, ., _ and -, beginning and ending with a letter or digit"
	case `^([01][0-9]|2[0-3]):[0-5][0-9]$`, `^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`:
		what, remedy = "a time of day", "write hours and minutes, as in 08:00 or 17:30"
	case `^/`:
		what, remedy = "a path", "begin it with /"
	case `^([!-~]([ -~]*[!-~])?)?$`:
		what, remedy = "a header value", "use printable ASCII, and no spaces at the ends"
	default:
		switch {
		case strings.Contains(pattern, `http(s)?`):
			what, remedy = "an origin", `write scheme and host, as in https://example.com or https://*.example.com, or *`
		case strings.HasPrefix(pattern, "^"+names+`\/[A-Za-z0-9\/`):
			what, remedy = "a domain with a path behind it", "write DOMAIN/PATH, as in gridway.dev/controller"
		case strings.HasPrefix(pattern, "^Hostname|IPAddress|"):
			what, remedy = "a type of address", "write IPAddress, Hostname, NamedAddress or DOMAIN/NAME"
		case strings.HasPrefix(pattern, "^(System|"):
			what, remedy = "a set of certificates", "write System"
		case strings.HasPrefix(pattern, `^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|`):
			what, remedy = "a protocol", "write HTTP or HTTPS"
		default:
			return fmt.Sprintf("%s does not match %s", shownValue, pattern), ""
		}
	}
	return fmt.Sprintf("%s is not %s", shownValue, what), remedy
}

// unknownField reports a field that the schema does not have, and returns the
// one that was probably meant.
func (w *walker) unknownField(name *yaml.Node, s *schema.Node) string {
	p := store.Problem{
		Code: "UnknownField", Position: w.position(name),
		Message: fmt.Sprintf("unknown field %q", name.Value),
	}
	near := spelling.Nearest(name.Value, s.Fields())
	switch {
	case near != "":
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
	case len(s.Fields()) == 0:
		p.Remedy = "no fields are known here"
	default:
		p.Remedy = knownFields(s)
	}
	w.report(p)
	return near
}

// knownFields lists the fields of an object, unless there are too many to read.
func knownFields(s *schema.Node) string { return named("the fields here are ", s) }

func named(before string, s *schema.Node) string {
	if fields := s.Fields(); len(fields) > 0 && len(fields) <= 24 {
		return before + strings.Join(fields, ", ")
	}
	return ""
}
