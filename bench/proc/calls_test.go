package proc

import "testing"

func TestParseCounts(t *testing.T) {
	got, err := parseCounts("Events disabled\nEvents enabled\nEvents disabled\n" +
		"120,,raw_syscalls:sys_enter,9000,100.00,,\n7,,context-switches,9000,100.00,13.3,K/sec\n" +
		"1.50,msec,task-clock,1500000,100.00,0.01,CPUs utilized\n60,,syscalls:sys_enter_read,9000,100.00,,\n<not counted>,,syscalls:sys_enter_write,0,100.00,,\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{AllCalls: 120, Switches: 7, RunTime: 1.5e6, "read": 60, "write": 0}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: got %g, want %g", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseCountsRefuses(t *testing.T) {
	for _, text := range []string{
		"", "event syntax error: 'raw_syscalls:sys_enter'\n", "<not supported>,,task-clock,0,100.00,,\n",
	} {
		if got, err := parseCounts(text); err == nil {
			t.Errorf("%q: got %v and no error", text, got)
		}
	}
}

func TestParseTraffic(t *testing.T) {
	got := parseTraffic("0 0 127.0.0.1:31995 127.0.0.1:40532 \n" +
		"\t cubic wscale:7,7 rto:201 bytes_sent:1000 bytes_acked:1000 bytes_received:300 segs_out:9 segs_in:8 data_segs_out:5 data_segs_in:4 send 1bps\n" +
		"0 0 127.0.0.1:31995 127.0.0.1:40534 \n\t cubic bytes_sent:24 data_segs_out:1\n")
	if want := (Traffic{Conns: 2, BytesIn: 300, BytesOut: 1024, SegmentsIn: 4, SegmentsOut: 6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
