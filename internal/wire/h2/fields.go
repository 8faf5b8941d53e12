package h2

import (
	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/hpack"
)

// faults says what the peer is told for what is wrong with a message.
var faults = [head.Faults]*Error{
	head.FieldName: errFieldName, head.FieldValue: errFieldValue, head.Pseudo: errPseudo,
	head.ConnectionField: errConnectionField, head.ContentLength: errContentLength, head.Method: errMethod,
	head.StatusCode: errStatusCode, head.Host: errHost, head.ConnectTarget: errConnectTarget, head.Scheme: errScheme,
	head.Path: errPath, head.Expectation: errExpectation, head.HeaderTooLarge: errHeaderTooLarge,
	head.TooManyFields: errTooManyFields, head.UnexpectedContent: errUnexpectedContent,
}

// decodeFields decodes a block. What is wrong with the message is fs.Fault; the
// connection is not concerned.
func (c *Conn) decodeFields(block []byte, fs *head.Fields) (fatal *Error) {
	fs.Most = c.cfg.HeaderCount
	c.dec.Begin(block, fs.Arena, c.cfg.HeaderBytes)
	for {
		var f hpack.Field
		more, err := c.dec.Next(&f)
		if err != nil {
			return decodeError(err)
		}
		if !more {
			break
		}
		fs.Add(&f)
	}
	fs.End(c.dec.TooLarge())
	return nil
}

// decodeTrailer decodes a trailer section into c.trailer.
func (c *Conn) decodeTrailer(block []byte) (bad, fatal *Error) {
	fs := head.Fields{Header: &c.trailer, Arena: &c.scratch, Allowed: head.OfTrailer}
	fatal = c.decodeFields(block, &fs)
	if bad = faults[fs.Fault]; bad != nil && bad.Status != 0 {
		bad = errTrailer
	}
	c.trailer.DropForbiddenTrailers()
	return bad, fatal
}
