package declared_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/declared"
)

const excepting = "service: cart\nprocesses: {user: cart}\nports: [{name: web, number: 8080}, {number: 9090}, {name: '9090', number: 9091}]\n"

func TestExcept(t *testing.T) {
	list, err := declared.Read("f.yaml", []byte("except:\n  ports: [web, 9090]\n  networks: [10.9.8.7/16, fd00::1, '::ffff:192.0.2.1', 0.0.0.0/0]\n  outboundPorts: [5432, 53]\n"+excepting))
	if err != nil {
		t.Fatal(err)
	}
	want := declared.Except{Ports: []uint16{8080, 9090}, OutboundPorts: []uint16{5432, 53}, Networks: []netip.Prefix{
		netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("fd00::1/128"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("0.0.0.0/0"),
	}}
	if got := list[0].Except; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if list, err := declared.Read("f.yaml", []byte(excepting+"except: {}")); err != nil || !reflect.DeepEqual(list[0].Except, declared.Except{}) {
		t.Errorf("none: %v", err)
	}
}

// What is wrong is said where it stands.
func TestBadExcept(t *testing.T) {
	many := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprint(i+1))
		}
		return strings.Join(out, ", ")
	}
	for text, want := range map[string]string{
		"except: all":                                                      "f.yaml:4:9: except must have fields: networks, outboundPorts, ports",
		"except: {port: [8080]}":                                           `f.yaml:4:10: except has no field "port"`,
		"except: {ports: 8080}":                                            "f.yaml:4:17: except.ports must be a list",
		"except:\n  ports:\n  - web\n  - 80":                               `f.yaml:7:5: except.ports "80": must be the number or the name of one of the workload's ports`,
		"except: {ports: [08080]}":                                         `except.ports "08080": must be the number or the name`,
		"except: {ports: [[web]]}":                                         `except.ports "": must be`,
		"except: {ports: [web, 8080]}":                                     `f.yaml:4:23: except.ports: "8080" is there twice`,
		"except: {outboundPorts: [http]}":                                  `f.yaml:4:26: port "http": must be a number from 1 to 65535`,
		"except: {outboundPorts: [0]}":                                     "must be a number from 1 to 65535",
		"except: {outboundPorts: [65536]}":                                 "must be a number from 1 to 65535",
		"except: {networks: [10.0.0.0/33]}":                                `f.yaml:4:21: except.networks "10.0.0.0/33": must be a network or an address`,
		"except: {networks: [fe80::1%eth0]}":                               "must be a network or an address",
		"except: {networks: ['::ffff:1.2.3.0/120']}":                       "must be a network or an address",
		"except: {networks: [a.example]}":                                  "must be a network or an address",
		"except: {networks: [{}]}":                                         "must be a network or an address",
		"except: {networks: [10.1.2.3/16, 10.1.0.0/16]}":                   "is there twice",
		"except: {outboundPorts: [" + many(256) + "], networks: ['::/0']}": "f.yaml:4:9: except: 257 networks and ports",
		"except: {outboundPorts: [" + many(257) + "]}":                     "must be a list of 256 at most",
	} {
		if list, err := declared.Read("f.yaml", []byte(excepting+text)); err == nil || !strings.Contains(err.Error(), want) || list != nil {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
