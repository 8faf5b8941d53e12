package h3

import (
	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Limits bound what is decoded.
type Limits struct {
	// HeaderBytes bounds a field section: names and values with 32 bytes for each field.
	HeaderBytes int
	// HeaderCount bounds its fields.
	HeaderCount int
	// MergeSlashes makes one of several slashes in a path.
	MergeSlashes bool
}

// faults says what the peer is told for what is wrong with a message.
var faults = [head.Faults]*Error{
	head.FieldName: errFieldName, head.FieldValue: errFieldValue, head.Pseudo: errPseudo,
	head.ConnectionField: errConnectionField, head.ContentLength: errContentLength, head.Method: errMethod,
	head.StatusCode: errStatusCode, head.Host: errHost, head.ConnectTarget: errConnectTarget, head.Scheme: errScheme,
	head.Path: errPath, head.Expectation: errExpectation, head.HeaderTooLarge: errHeaderTooLarge,
	head.TooManyFields: errTooManyFields, head.UnexpectedContent: errUnexpectedContent,
}

// decodeFields decodes a section. What is wrong with the message is fs.Fault; what
// is wrong with the section is fatal.
func decodeFields(block []byte, lim *Limits, fs *head.Fields) (fatal *Error) {
	fs.Most = lim.HeaderCount
	var d section
	if fatal := d.begin(block, fs.Arena, lim.HeaderBytes); fatal != nil {
		return fatal
	}
	for {
		var f hpack.Field
		more, fatal := d.next(&f)
		if fatal != nil {
			return fatal
		}
		if !more {
			break
		}
		fs.Add(&f)
	}
	fs.End(d.tooLarge)
	return nil
}

// DecodeTrailer decodes the section after the content. What must not stand there
// is left out.
func DecodeTrailer(block []byte, lim *Limits, h *httpmsg.Header, arena *httpmsg.Arena) *Error {
	fs := head.Fields{Header: h, Arena: arena, Allowed: head.OfTrailer}
	if fatal := decodeFields(block, lim, &fs); fatal != nil {
		return fatal
	}
	if bad := faults[fs.Fault]; bad != nil {
		if bad.Status != 0 {
			return errTrailer
		}
		return bad
	}
	h.DropForbiddenTrailers()
	return nil
}
