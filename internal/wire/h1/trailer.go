package h1

import "github.com/gridway/gridway/internal/wire/httpmsg"

// forbiddenTrailer are the fields that decide framing, routing, authentication,
// caching or how content is read: a recipient that merged them into the head
// would act on them too late, or twice (RFC 9110 §6.5.1).
var forbiddenTrailer = httpmsg.MakeNameSet(
	httpmsg.NameHost, httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection,
	httpmsg.NameProxyAuthenticate, httpmsg.NameProxyAuthorization, httpmsg.NameTE, httpmsg.NameTrailer,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
	httpmsg.NameContentLength, httpmsg.NameContentType, httpmsg.NameContentEncoding, httpmsg.NameContentRange,
	httpmsg.NameExpect, httpmsg.NameMaxForwards, httpmsg.NamePragma, httpmsg.NameRange, httpmsg.NameCacheControl,
	httpmsg.NameIfMatch, httpmsg.NameIfNoneMatch, httpmsg.NameIfModifiedSince, httpmsg.NameIfUnmodifiedSince,
	httpmsg.NameIfRange, httpmsg.NameAuthorization, httpmsg.NameWWWAuthenticate, httpmsg.NameCookie,
	httpmsg.NameSetCookie, httpmsg.NameXAPIKey, httpmsg.NameAge, httpmsg.NameExpires, httpmsg.NameDate,
	httpmsg.NameLocation, httpmsg.NameRetryAfter, httpmsg.NameVary, httpmsg.NameWarning,
	httpmsg.NameForwarded, httpmsg.NameVia, httpmsg.NameXForwardedFor, httpmsg.NameXForwardedProto,
	httpmsg.NameXForwardedHost, httpmsg.NameXForwardedPort, httpmsg.NameXForwardedPrefix, httpmsg.NameXRealIP,
	httpmsg.NameXRequestID, httpmsg.NameXGridwayReason, httpmsg.NameXGridwayPriority,
	httpmsg.NameTraceparent, httpmsg.NameTracestate, httpmsg.NameOrigin,
	httpmsg.NameAccessControlAllowOrigin, httpmsg.NameAccessControlAllowCredentials,
)

// readTrailer parses the trailer section at the start of in and returns its
// length, or 0 if it is not complete.
func (c *ChunkReader) readTrailer(in []byte, trailer *httpmsg.Header) (int, *Error) {
	if in[0] == '\r' {
		if len(in) == 1 {
			return 0, nil
		}
		if in[1] != '\n' {
			return 0, errBareCR
		}
		c.state = chunkDone
		return 2, nil
	}
	if in[0] == '\n' {
		return 0, errBareLF
	}
	end := c.trailer.HeadEnd(in)
	if end < 0 && len(in) < maxTrailerBytes {
		return 0, nil
	}
	if end < 0 || end > maxTrailerBytes {
		return 0, errTrailerTooLong
	}
	if trailer == nil {
		trailer = new(httpmsg.Header)
	}
	trailer.Reset()
	n, e := parseFields(in[:end], 0, trailer, maxTrailerCount, nil)
	if e != nil {
		return 0, e
	}
	if n != end {
		return 0, errTrailerSyntax
	}
	trailer.DelSet(&forbiddenTrailer)
	c.state = chunkDone
	return end, nil
}
