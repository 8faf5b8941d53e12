package hpack_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func dehex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// decodeAll returns the fields of a block as lines; "!" marks sensitive ones.
func decodeAll(d *hpack.Decoder, block []byte, maxList int) (lines []string, err error) {
	var arena httpmsg.Arena
	var f hpack.Field
	d.Begin(block, &arena, maxList)
	for {
		more, err := d.Next(&f)
		if err != nil || !more {
			return lines, err
		}
		line := string(f.Name) + ": " + string(f.Value)
		if f.Sensitive {
			line = "!" + line
		}
		lines = append(lines, line)
	}
}

// The examples of RFC 7541 Appendix C, each on one decoder.
var examples = []struct {
	name  string
	size  uint32
	steps [][2]string
}{
	{"C.2.1", 4096, [][2]string{{"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header"}}},
	{"C.2.2", 4096, [][2]string{{"040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path"}}},
	{"C.2.3", 4096, [][2]string{{"1008 7061 7373 776f 7264 0673 6563 7265 74", "!password: secret"}}},
	{"C.2.4", 4096, [][2]string{{"82", ":method: GET"}}},
	{"C.3", 4096, [][2]string{
		{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com"},
		{"8286 84be 5808 6e6f 2d63 6163 6865", ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache"},
		{"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value"},
	}},
	{"C.4", 4096, [][2]string{
		{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com"},
		{"8286 84be 5886 a8eb 1064 9cbf", ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache"},
		{"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value"},
	}},
	{"C.5", 256, [][2]string{
		{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", first302},
		{"4803 3330 37c1 c0bf", strings.Replace(first302, "302", "307", 1)},
		{"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31", last200},
	}},
	{"C.6", 256, [][2]string{
		{"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3", first302},
		{"4883 640e ffc1 c0bf", strings.Replace(first302, "302", "307", 1)},
		{"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07", last200},
	}},
}

const (
	first302 = ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com"
	last200  = ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\n" +
		"content-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
)

func TestRFCExamples(t *testing.T) {
	for _, x := range examples {
		t.Run(x.name, func(t *testing.T) {
			d := hpack.NewDecoder()
			update := ""
			if x.size == 256 {
				update = "3fe1 01"
			}
			for i, step := range x.steps {
				got, err := decodeAll(d, dehex(update+step[0]), 1<<16)
				if err != nil || strings.Join(got, "\n") != step[1] {
					t.Fatalf("step %d: %v\n%s", i, err, strings.Join(got, "\n"))
				}
				update = ""
			}
		})
	}
}

// Blocks that no decoder may accept.
func TestBadBlocks(t *testing.T) {
	cases := []struct {
		name, block string
		want        error
	}{
		{"index 0", "80", hpack.ErrIndex},
		{"index beyond the tables", "be", hpack.ErrIndex},
		{"name index beyond the tables", "7e 00", hpack.ErrIndex},
		{"name index beyond the tables, not indexed", "0f2f 00", hpack.ErrIndex},
		{"index cut off", "ff", hpack.ErrInteger},
		{"index too large", "ff ffff ffff 7f", hpack.ErrInteger},
		{"index without end", "ff 8080 8080 8080 8080 01", hpack.ErrInteger},
		{"no name", "40", hpack.ErrTruncated},
		{"name cut off", "4003 6162", hpack.ErrTruncated},
		{"no value", "4001 61", hpack.ErrTruncated},
		{"value cut off", "4001 6102 62", hpack.ErrTruncated},
		{"length too large", "4001 617f ffff ffff 0f", hpack.ErrInteger},
		{"length cut off", "4001 617f ff", hpack.ErrInteger},
		{"EOS in a string", "0001 6184 ffff ffff", hpack.ErrHuffman},
		{"padding of a whole byte", "0001 6182 1fff", hpack.ErrHuffman},
		{"padding with zeros", "0001 6181 18", hpack.ErrHuffman},
		{"only padding", "0001 6181 ff", hpack.ErrHuffman},
		{"code cut off", "0001 6181 fe", hpack.ErrHuffman},
		{"update too large", "3fe2 1f", hpack.ErrSizeUpdate},
		{"update after a field", "82 20", hpack.ErrSizeUpdate},
		{"three updates", "20 20 20", hpack.ErrSizeUpdate},
		{"update cut off", "3f", hpack.ErrInteger},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := decodeAll(hpack.NewDecoder(), dehex(c.block), 1<<16); err != c.want {
				t.Errorf("%v %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestSizeUpdates(t *testing.T) {
	add := "4001 6101 62" // a: b
	d := hpack.NewDecoder()
	for i, step := range []struct {
		block, want string
		err         error
	}{
		{add + "be", "a: b\na: b", nil},
		{"20 3fe1 1f", "", nil},               // emptied, and 4096 again
		{"be", "", hpack.ErrIndex},            // gone
		{"3e" + add + add, "a: b\na: b", nil}, // 30: nothing fits
		{"be", "", hpack.ErrIndex},
		{"3f03" + add + "be", "a: b\na: b", nil}, // 34: one fits
		{"4001 6102 6262 be", "a: bb", hpack.ErrIndex},
	} {
		got, err := decodeAll(d, dehex(step.block), 1<<16)
		if err != step.err || strings.Join(got, "\n") != step.want {
			t.Fatalf("step %d: %q %v", i, got, err)
		}
	}
}

// RFC 9113 §4.3.1: the first block after a smaller table was acknowledged.
func TestOwedUpdate(t *testing.T) {
	for block, want := range map[string]error{"82": hpack.ErrSizeUpdate, "": hpack.ErrSizeUpdate, "3f45 82": nil, "3f46 82": hpack.ErrSizeUpdate} {
		d := hpack.NewDecoder()
		d.SetTableSize(100)
		if _, err := decodeAll(d, dehex(block), 1<<16); err != want {
			t.Errorf("%q: %v, want %v", block, err, want)
		}
	}
	d := hpack.NewDecoder()
	d.SetTableSize(8192)
	if _, err := decodeAll(d, dehex("82 86"), 1<<16); err != nil {
		t.Errorf("a larger table need not be used: %v", err)
	}
}

func TestFlaws(t *testing.T) {
	for _, c := range []struct {
		name, value string
		flaw        hpack.Flaw
		pseudo      hpack.Pseudo
	}{
		{"x-thing", "a b\tc\x80", hpack.FlawNone, hpack.PseudoNone},
		{"accept", "", hpack.FlawNone, hpack.PseudoNone},
		{"Accept", "x", hpack.FlawUpperCase, hpack.PseudoNone},
		{"x-Thing", "x", hpack.FlawUpperCase, hpack.PseudoNone},
		{"", "x", hpack.FlawName, hpack.PseudoNone},
		{"x y", "x", hpack.FlawName, hpack.PseudoNone},
		{"x\n", "x", hpack.FlawName, hpack.PseudoNone},
		{"x:y", "x", hpack.FlawName, hpack.PseudoNone},
		{"x", "a\nb", hpack.FlawValue, hpack.PseudoNone},
		{"x", "a\rb", hpack.FlawValue, hpack.PseudoNone},
		{"x", "a\x00b", hpack.FlawValue, hpack.PseudoNone},
		{"x", " a", hpack.FlawValue, hpack.PseudoNone},
		{"x", "a\t", hpack.FlawValue, hpack.PseudoNone},
		{":path", "/ ", hpack.FlawValue, hpack.PseudoPath},
		{":protocol", "websocket", hpack.FlawNone, hpack.PseudoProtocol},
		{":thing", "x", hpack.FlawNone, hpack.PseudoUnknown},
		{":Path", "x", hpack.FlawNone, hpack.PseudoUnknown},
	} {
		block := append([]byte{0x40, byte(len(c.name))}, c.name...)
		block = append(append(block, byte(len(c.value))), c.value...)
		block = append(block, 0xbe)                  // again, from the table
		block = append(block, 0x7e, 0x01, 'v', 0xbe) // the name from the table
		var arena httpmsg.Arena
		var f hpack.Field
		d := hpack.NewDecoder()
		d.Begin(block, &arena, 1<<16)
		for i := range 4 {
			if more, err := d.Next(&f); !more || err != nil {
				t.Fatalf("%q: %v", c.name, err)
			}
			want := c.flaw
			if i >= 2 && want == hpack.FlawValue {
				want = hpack.FlawNone
			}
			if f.Flaw != want || f.Pseudo != c.pseudo || string(f.Name) != c.name || i < 2 && string(f.Value) != c.value {
				t.Errorf("%q: %q, field %d: %q: %q flaw %d pseudo %d", c.name, c.value, i, f.Name, f.Value, f.Flaw, f.Pseudo)
			}
		}
	}
}

// What is over the limit is left out, but enters the table.
func TestTooLarge(t *testing.T) {
	d := hpack.NewDecoder()
	got, err := decodeAll(d, dehex("82 4001 6103 626262 86"), 42+35)
	if err != nil || len(got) != 1 || !d.TooLarge() {
		t.Fatalf("%q %v %v", got, err, d.TooLarge())
	}
	if got, err = decodeAll(d, dehex("be"), 100); err != nil || len(got) != 1 || got[0] != "a: bbb" || d.TooLarge() {
		t.Fatalf("%q %v", got, err)
	}
}

// A large entry that is referred to again and again (CVE-2016-6581) must cost
// neither memory nor time.
func TestBomb(t *testing.T) {
	d := hpack.NewDecoder()
	block := append([]byte{0x40, 1, 'a', 0x7f, 0xa1, 0x1e}, strings.Repeat("b", 4000)...)
	if got, err := decodeAll(d, block, 1<<16); err != nil || len(got) != 1 {
		t.Fatal(len(got), err)
	}
	var arena httpmsg.Arena
	var f hpack.Field
	fields := 0
	d.Begin([]byte(strings.Repeat("\xbe", 1<<16)), &arena, 1<<16)
	for {
		more, err := d.Next(&f)
		if err == hpack.ErrBomb {
			break
		}
		if !more || err != nil {
			t.Fatal(more, err)
		}
		fields++
	}
	if fields > 16 {
		t.Errorf("%d fields of 4 KB within 64 KB", fields)
	}
}
