package httpmsg

// forbiddenTrailer are the fields that decide framing, routing, authentication,
// caching or how content is read: a recipient that merged them into the head
// would act on them too late, or twice (RFC 9110 §6.5.1).
var forbiddenTrailer = MakeNameSet(
	NameHost, NameConnection, NameKeepAlive, NameProxyConnection,
	NameProxyAuthenticate, NameProxyAuthorization, NameTE, NameTrailer,
	NameTransferEncoding, NameUpgrade, NameHTTP2Settings,
	NameContentLength, NameContentType, NameContentEncoding, NameContentRange,
	NameExpect, NameMaxForwards, NamePragma, NameRange, NameCacheControl,
	NameIfMatch, NameIfNoneMatch, NameIfModifiedSince, NameIfUnmodifiedSince,
	NameIfRange, NameAuthorization, NameWWWAuthenticate, NameCookie,
	NameSetCookie, NameXAPIKey, NameAge, NameExpires, NameDate,
	NameLocation, NameRetryAfter, NameVary, NameWarning,
	NameForwarded, NameVia, NameXForwardedFor, NameXForwardedProto,
	NameXForwardedHost, NameXForwardedPort, NameXForwardedPrefix, NameXForwardedClientCert, NameXRealIP,
	NameXRequestID, NameXGridwayReason, NameXGridwayPriority, NameGridwayCaller,
	NameTraceparent, NameTracestate, NameOrigin,
	NameAccessControlAllowOrigin, NameAccessControlAllowCredentials,
)

// TrailerForbidden tells whether a well-known field must not stand in a trailer section.
func TrailerForbidden(id Name) bool { return forbiddenTrailer.Has(id) }

// DropForbiddenTrailers removes what must not stand in a trailer section.
func (h *Header) DropForbiddenTrailers() { h.DelSet(&forbiddenTrailer) }
