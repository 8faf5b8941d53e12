package command

import "testing"

func TestTelemetryMemory(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
	}{
		{"", 7},
		{"off", 0},
		{"256KiB", 256 << 10},
		{"64MiB", 64 << 20},
		{"64Mi", 64 << 20},
		{"4GiB", 4 << 30},
		{"1048576", 1 << 20},
		{"255KiB", -1},
		{"5GiB", -1},
		{"9223372036854775807GiB", -1},
		{"-1MiB", -1},
		{"0", -1},
		{"16MB", -1},
		{"MiB", -1},
		{"1.5MiB", -1},
		{"16 MiB", -1},
		{"much", -1},
	} {
		got, err := (&Proxy{Memory: c.in}).TelemetryMemory(7)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("%q is %d (%v), want %d", c.in, got, err, c.want)
		}
	}
}
