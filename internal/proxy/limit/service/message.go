package service

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// Fields of envoy.service.ratelimit.v3 and of what its messages are made of.
const (
	requestDomain      protowire.Number = 1
	requestDescriptors protowire.Number = 2
	requestHits        protowire.Number = 3

	descriptorEntries protowire.Number = 1
	descriptorLimit   protowire.Number = 2
	descriptorHits    protowire.Number = 3

	overrideUnits protowire.Number = 1
	overrideUnit  protowire.Number = 2

	responseCode           protowire.Number = 1
	responseStatuses       protowire.Number = 2
	responseHeaders        protowire.Number = 3
	responseRequestHeaders protowire.Number = 4
	statusCode             protowire.Number = 1
	statusLimit            protowire.Number = 2
	statusRemaining        protowire.Number = 3
	statusReset            protowire.Number = 4
	durationSeconds        protowire.Number = 1
	durationNanos          protowire.Number = 2
	headerKey, headerValue                  = protowire.Number(1), protowire.Number(2)
	headerRaw              protowire.Number = 3
)

// Codes of an answer, as a whole and for each descriptor.
const (
	codeOK        = 1
	codeOverLimit = 2
)

// maxHeaders bounds how many an answer may add.
const maxHeaders = 64

// within appends a message inside another one.
func within(dst []byte, field protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), inner)
}

// text appends a string, which is of UTF-8.
func text(dst []byte, field protowire.Number, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

func number(dst []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), n)
}

// status is what the service says of one descriptor.
type status struct {
	code      uint64
	limited   bool // there is a limit for it
	remaining uint64
	reset     time.Duration
}

// answer is a RateLimitResponse.
type answer struct {
	code              uint64
	statuses          []status
	response, request []header
}

type header struct{ name, value []byte }

func parse(b []byte) (a answer, err error) {
	err = callout.EachField(b, func(field protowire.Number, v []byte, n uint64) error {
		switch {
		case field == responseCode && v == nil:
			a.code = n
		case field == responseStatuses && v != nil:
			if len(a.statuses) == maxLimits {
				return fmt.Errorf("there are more than %d statuses", maxLimits)
			}
			s, err := parseStatus(v)
			a.statuses = append(a.statuses, s)
			return err
		case field == responseHeaders && v != nil:
			return parseHeader(v, &a.response)
		case field == responseRequestHeaders && v != nil:
			return parseHeader(v, &a.request)
		}
		return nil
	})
	return a, err
}

func parseStatus(b []byte) (s status, err error) {
	err = callout.EachField(b, func(field protowire.Number, v []byte, n uint64) error {
		switch {
		case field == statusCode && v == nil:
			s.code = n
		case field == statusLimit && v != nil:
			s.limited = true
		case field == statusRemaining && v == nil:
			s.remaining = n
		case field == statusReset && v != nil:
			var err error
			s.reset, err = parseDuration(v)
			return err
		}
		return nil
	})
	return s, err
}

// parseDuration reads a google.protobuf.Duration; one below zero is none.
func parseDuration(b []byte) (d time.Duration, err error) {
	err = callout.EachField(b, func(field protowire.Number, v []byte, n uint64) error {
		const most = uint64(math.MaxInt64 / int64(time.Second) / 2)
		switch {
		case v != nil:
		case field == durationSeconds && int64(n) >= 0:
			d += time.Duration(min(n, most)) * time.Second
		case field == durationNanos && int64(n) >= 0:
			d += time.Duration(min(n, uint64(time.Second)))
		}
		return nil
	})
	return d, err
}

// ours are fields that belong to the connection or to the message that has them
// (RFC 9110 §7.6.1), and those that say who speaks.
var ours = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameTE, httpmsg.NameTrailer,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings, httpmsg.NameContentLength,
	httpmsg.NameHost, httpmsg.NameExpect, httpmsg.NameAltSvc, httpmsg.NameXGridwayReason,
)

// parseHeader reads a HeaderValue. What is no field refuses the answer, since others
// may read something else in it; those that are not the service's to say are passed
// over.
func parseHeader(b []byte, to *[]header) error {
	if len(*to) == maxHeaders {
		return fmt.Errorf("there are more than %d headers", maxHeaders)
	}
	var h header
	var raw []byte
	err := callout.EachField(b, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case headerKey:
			h.name = v
		case headerValue:
			h.value = v
		case headerRaw:
			raw = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(h.value) == 0 {
		h.value = raw
	}
	if len(h.name) == 0 || !syntax.IsToken(h.name) {
		return fmt.Errorf("%.60q is not the name of a header", h.name)
	}
	for _, c := range h.value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("the value of header %.60s has a control character", h.name)
		}
	}
	if id := httpmsg.LookupName(h.name); id == httpmsg.NameOther || !ours.Has(id) {
		*to = append(*to, h)
	}
	return nil
}
