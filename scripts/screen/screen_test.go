package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestStylesBecomeColours(t *testing.T) {
	s, err := parse(bufio.NewReader(strings.NewReader("a\x1b[1m\x1b[33m2%\x1b[0m\x1b[39m\x1b[49m <b>\n\x1b[36m▄█\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(s) != 2 || s[0][1] != (cell{'2', style{color: 4, bold: true}}) || s[0][3] != (cell{' ', style{}}) || s[1][0].color != 7 {
		t.Errorf("cells %+v", s)
	}
	var b bytes.Buffer
	draw(&b, s, "a & b")
	for _, want := range []string{`font-weight="bold">2%</text>`, palette[4], "&lt;b&gt;", "a &amp; b", `height="13.0" fill="` + palette[7]} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the picture has no %s:\n%s", want, b.String())
		}
	}
	for d := xml.NewDecoder(&b); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOtherSequencesAreRefused(t *testing.T) {
	for _, in := range []string{"\x1b[2J", "\x1b[7mx", "\x1b]0;t\x07", "\x1b[", "", "\n\n"} {
		if _, err := parse(bufio.NewReader(strings.NewReader(in))); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}
