package consul

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// answer is what an agent says of two instances, with what is not read left out in
// part.
const answer = `[{"Node":{"ID":"40e4","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1","wan":"198.51.100.1"},
"Meta":{"zone":"a"},"Locality":{"Region":"eu","Zone":"eu-1"},"CreateIndex":10},
"Service":{"ID":"web-1","Service":"web","Tags":["v1"],"Address":"","Port":8000,"Meta":{},"Weights":{"Passing":10,"Warning":2}},
"Checks":[{"CheckID":"serfHealth","Status":"passing","Output":"ok"}]},
{"Node":{"Node":"n2","Address":"10.0.0.2"},
"Service":{"ID":"web-2","Service":"web","Address":"2001:db8::2","TaggedAddresses":{"wan":{"Address":"198.51.100.2","Port":80},"lan":{"Address":"10.0.0.22","Port":0}},
"Port":8000,"Meta":{"zone":"b"},"Weights":{"Passing":10,"Warning":2}},
"Checks":[{"CheckID":"serfHealth","Status":"passing"},{"CheckID":"slow","Status":"warning"}]},
{"Node":{"Node":"n3","Address":"n3.example"},"Service":{"ID":"web-3","Port":1},"Checks":[]},
{"Node":{"Node":"n4","Address":"10.0.0.4"},"Service":{"ID":"web-4","Port":0},"Checks":null}]`

func TestEndpointsOfInstances(t *testing.T) {
	for name, c := range map[string]struct {
		service  ir.ConsulService
		warnings bool
		want     []ir.Endpoint
	}{
		"passing": {ir.ConsulService{}, false, []ir.Endpoint{
			{Address: "10.0.0.1:8000", Weight: 10, Zone: "eu-1", Origin: "consul web: web-1 on n1"},
		}},
		"with warnings": {ir.ConsulService{ZoneMeta: "zone", Priority: 1}, true, []ir.Endpoint{
			{Address: "10.0.0.1:8000", Weight: 10, Zone: "a", Priority: 1, Origin: "consul web: web-1 on n1"},
			{Address: "[2001:db8::2]:8000", Weight: 2, Zone: "b", Priority: 1, Origin: "consul web: web-2 on n2"},
		}},
		"tagged": {ir.ConsulService{TaggedAddress: "wan"}, true, []ir.Endpoint{
			{Address: "198.51.100.1:8000", Weight: 10, Zone: "eu-1", Origin: "consul web: web-1 on n1"},
			{Address: "198.51.100.2:80", Weight: 2, Origin: "consul web: web-2 on n2"},
		}},
		"tagged without a port": {ir.ConsulService{TaggedAddress: "lan", Limit: 2}, true, []ir.Endpoint{
			{Address: "10.0.0.1:8000", Weight: 10, Zone: "eu-1", Origin: "consul web: web-1 on n1"},
			{Address: "10.0.0.22:8000", Weight: 2, Origin: "consul web: web-2 on n2"},
		}},
		"port and limit": {ir.ConsulService{Port: 9, Limit: 1}, false, []ir.Endpoint{
			{Address: "10.0.0.1:9", Weight: 10, Zone: "eu-1", Origin: "consul web: web-1 on n1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := readAnswer(strings.NewReader(answer), c.warnings)
			if err != nil {
				t.Fatal(err)
			}
			c.service.Service = "web"
			got := endpointsOf(&c.service, list)
			if name == "port and limit" {
				if len(got) != 1 || got[0] != c.want[0] {
					t.Errorf("got %+v", got)
				}
				return
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %+v", got)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("got %+v, want %+v", got[i], c.want[i])
				}
			}
		})
	}
}

func TestAnswerIsBounded(t *testing.T) {
	long := `[{"Service":{"ID":"` + strings.Repeat("x", maxAnswer) + `"}}]`
	if _, err := readAnswer(strings.NewReader(long), false); err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("got %v", err)
	}
	many := "[" + strings.Repeat(`{"Node":{"Address":"10.0.0.1"},"Service":{"Port":1}},`, maxInstances) + `{}]`
	if list, err := readAnswer(strings.NewReader(many), false); err != nil || len(list) != maxInstances {
		t.Errorf("%d instances, %v", len(list), err)
	}
	if list, err := readAnswer(strings.NewReader("null"), false); err != nil || list == nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// FuzzAnswer feeds answers of any content to what reads them.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(answer), "wan", "zone")
	f.Add([]byte(`[{"Service":{"Port":-1,"Weights":{"Passing":-5,"Warning":99999999999}},"Node":{"Address":"fe80::1%eth0"}}]`), "", "")
	f.Add([]byte(`null`), "lan", "")
	f.Fuzz(func(t *testing.T, text []byte, tag, meta string) {
		for _, warnings := range []bool{false, true} {
			list, err := readAnswer(strings.NewReader(string(text)), warnings)
			if (err == nil) != (list != nil) || len(list) > maxInstances {
				t.Fatalf("%d instances, %v", len(list), err)
			}
			for _, e := range endpointsOf(&ir.ConsulService{TaggedAddress: tag, ZoneMeta: meta}, list) {
				a, err := netip.ParseAddrPort(e.Address)
				if err != nil || a.Port() == 0 || a.Addr().Zone() != "" || a.Addr().Is4In6() || e.Weight > maxWeight {
					t.Fatalf("endpoint %+v: %v", e, err)
				}
			}
		}
	})
}
