package httpmsg

// The well-known names: every header that the proxy itself reads or writes, and
// those that browsers, tools and services commonly send.
const (
	// NameOther is any name that is not listed here.
	NameOther Name = iota
	NameHost
	NameConnection
	NameKeepAlive
	NameProxyConnection
	NameProxyAuthenticate
	NameProxyAuthorization
	NameTE
	NameTrailer
	NameTransferEncoding
	NameUpgrade
	NameHTTP2Settings

	NameContentLength
	NameContentType
	NameContentEncoding
	NameContentLanguage
	NameContentLocation
	NameContentRange
	NameContentDisposition

	NameExpect
	NameMaxForwards
	NameDate
	NameServer
	NameVia
	NameAge
	NameWarning
	NamePragma
	NameAllow
	NameLocation
	NameRetryAfter
	NameAltSvc
	NameLink
	NameRefresh

	NameForwarded
	NameXForwardedFor
	NameXForwardedProto
	NameXForwardedHost
	NameXForwardedPort
	NameXForwardedPrefix
	NameXForwardedClientCert
	NameXRealIP
	NameXRequestID
	NameXCorrelationID
	NameXGridwayReason
	NameXGridwayPriority
	NameGridwayCaller

	NameTraceparent
	NameTracestate
	NameBaggage
	NameB3
	NameXB3TraceID
	NameXB3SpanID
	NameXB3ParentSpanID
	NameXB3Sampled

	NameAccept
	NameAcceptCharset
	NameAcceptEncoding
	NameAcceptLanguage
	NameAcceptRanges

	NameCacheControl
	NameExpires
	NameETag
	NameLastModified
	NameIfMatch
	NameIfNoneMatch
	NameIfModifiedSince
	NameIfUnmodifiedSince
	NameIfRange
	NameRange
	NameVary

	NameAuthorization
	NameWWWAuthenticate
	NameCookie
	NameSetCookie

	NameOrigin
	NameReferer
	NameUserAgent
	NameDNT
	NamePriority
	NameUpgradeInsecureRequests
	NameSecFetchDest
	NameSecFetchMode
	NameSecFetchSite
	NameSecFetchUser
	NameSecCHUA
	NameSecCHUAMobile
	NameSecCHUAPlatform
	NameXRequestedWith

	NameAccessControlAllowOrigin
	NameAccessControlAllowMethods
	NameAccessControlAllowHeaders
	NameAccessControlAllowCredentials
	NameAccessControlExposeHeaders
	NameAccessControlMaxAge
	NameAccessControlRequestMethod
	NameAccessControlRequestHeaders

	NameSecWebSocketKey
	NameSecWebSocketVersion
	NameSecWebSocketAccept
	NameSecWebSocketProtocol
	NameSecWebSocketExtensions

	NameStrictTransportSecurity
	NameContentSecurityPolicy
	NameXContentTypeOptions
	NameXFrameOptions
	NameReferrerPolicy
	NamePermissionsPolicy

	NameGRPCTimeout
	NameGRPCStatus
	NameGRPCMessage
	NameGRPCEncoding
	NameGRPCAcceptEncoding

	NameXAPIKey
	NameIdempotencyKey
	NameXPoweredBy

	nameCount
)

// spellings are the names as they are written when the proxy adds them.
var spellings = [nameCount]string{
	NameHost:                          "Host",
	NameConnection:                    "Connection",
	NameKeepAlive:                     "Keep-Alive",
	NameProxyConnection:               "Proxy-Connection",
	NameProxyAuthenticate:             "Proxy-Authenticate",
	NameProxyAuthorization:            "Proxy-Authorization",
	NameTE:                            "TE",
	NameTrailer:                       "Trailer",
	NameTransferEncoding:              "Transfer-Encoding",
	NameUpgrade:                       "Upgrade",
	NameHTTP2Settings:                 "HTTP2-Settings",
	NameContentLength:                 "Content-Length",
	NameContentType:                   "Content-Type",
	NameContentEncoding:               "Content-Encoding",
	NameContentLanguage:               "Content-Language",
	NameContentLocation:               "Content-Location",
	NameContentRange:                  "Content-Range",
	NameContentDisposition:            "Content-Disposition",
	NameExpect:                        "Expect",
	NameMaxForwards:                   "Max-Forwards",
	NameDate:                          "Date",
	NameServer:                        "Server",
	NameVia:                           "Via",
	NameAge:                           "Age",
	NameWarning:                       "Warning",
	NamePragma:                        "Pragma",
	NameAllow:                         "Allow",
	NameLocation:                      "Location",
	NameRetryAfter:                    "Retry-After",
	NameAltSvc:                        "Alt-Svc",
	NameLink:                          "Link",
	NameRefresh:                       "Refresh",
	NameForwarded:                     "Forwarded",
	NameXForwardedFor:                 "X-Forwarded-For",
	NameXForwardedProto:               "X-Forwarded-Proto",
	NameXForwardedHost:                "X-Forwarded-Host",
	NameXForwardedPort:                "X-Forwarded-Port",
	NameXForwardedPrefix:              "X-Forwarded-Prefix",
	NameXForwardedClientCert:          "X-Forwarded-Client-Cert",
	NameXRealIP:                       "X-Real-IP",
	NameXRequestID:                    "X-Request-ID",
	NameXCorrelationID:                "X-Correlation-ID",
	NameXGridwayReason:                "X-Gridway-Reason",
	NameXGridwayPriority:              "X-Gridway-Priority",
	NameGridwayCaller:                 "Gridway-Caller",
	NameTraceparent:                   "traceparent",
	NameTracestate:                    "tracestate",
	NameBaggage:                       "baggage",
	NameB3:                            "b3",
	NameXB3TraceID:                    "X-B3-TraceId",
	NameXB3SpanID:                     "X-B3-SpanId",
	NameXB3ParentSpanID:               "X-B3-ParentSpanId",
	NameXB3Sampled:                    "X-B3-Sampled",
	NameAccept:                        "Accept",
	NameAcceptCharset:                 "Accept-Charset",
	NameAcceptEncoding:                "Accept-Encoding",
	NameAcceptLanguage:                "Accept-Language",
	NameAcceptRanges:                  "Accept-Ranges",
	NameCacheControl:                  "Cache-Control",
	NameExpires:                       "Expires",
	NameETag:                          "ETag",
	NameLastModified:                  "Last-Modified",
	NameIfMatch:                       "If-Match",
	NameIfNoneMatch:                   "If-None-Match",
	NameIfModifiedSince:               "If-Modified-Since",
	NameIfUnmodifiedSince:             "If-Unmodified-Since",
	NameIfRange:                       "If-Range",
	NameRange:                         "Range",
	NameVary:                          "Vary",
	NameAuthorization:                 "Authorization",
	NameWWWAuthenticate:               "WWW-Authenticate",
	NameCookie:                        "Cookie",
	NameSetCookie:                     "Set-Cookie",
	NameOrigin:                        "Origin",
	NameReferer:                       "Referer",
	NameUserAgent:                     "User-Agent",
	NameDNT:                           "DNT",
	NamePriority:                      "Priority",
	NameUpgradeInsecureRequests:       "Upgrade-Insecure-Requests",
	NameSecFetchDest:                  "Sec-Fetch-Dest",
	NameSecFetchMode:                  "Sec-Fetch-Mode",
	NameSecFetchSite:                  "Sec-Fetch-Site",
	NameSecFetchUser:                  "Sec-Fetch-User",
	NameSecCHUA:                       "Sec-CH-UA",
	NameSecCHUAMobile:                 "Sec-CH-UA-Mobile",
	NameSecCHUAPlatform:               "Sec-CH-UA-Platform",
	NameXRequestedWith:                "X-Requested-With",
	NameAccessControlAllowOrigin:      "Access-Control-Allow-Origin",
	NameAccessControlAllowMethods:     "Access-Control-Allow-Methods",
	NameAccessControlAllowHeaders:     "Access-Control-Allow-Headers",
	NameAccessControlAllowCredentials: "Access-Control-Allow-Credentials",
	NameAccessControlExposeHeaders:    "Access-Control-Expose-Headers",
	NameAccessControlMaxAge:           "Access-Control-Max-Age",
	NameAccessControlRequestMethod:    "Access-Control-Request-Method",
	NameAccessControlRequestHeaders:   "Access-Control-Request-Headers",
	NameSecWebSocketKey:               "Sec-WebSocket-Key",
	NameSecWebSocketVersion:           "Sec-WebSocket-Version",
	NameSecWebSocketAccept:            "Sec-WebSocket-Accept",
	NameSecWebSocketProtocol:          "Sec-WebSocket-Protocol",
	NameSecWebSocketExtensions:        "Sec-WebSocket-Extensions",
	NameStrictTransportSecurity:       "Strict-Transport-Security",
	NameContentSecurityPolicy:         "Content-Security-Policy",
	NameXContentTypeOptions:           "X-Content-Type-Options",
	NameXFrameOptions:                 "X-Frame-Options",
	NameReferrerPolicy:                "Referrer-Policy",
	NamePermissionsPolicy:             "Permissions-Policy",
	NameGRPCTimeout:                   "grpc-timeout",
	NameGRPCStatus:                    "grpc-status",
	NameGRPCMessage:                   "grpc-message",
	NameGRPCEncoding:                  "grpc-encoding",
	NameGRPCAcceptEncoding:            "grpc-accept-encoding",
	NameXAPIKey:                       "X-API-Key",
	NameIdempotencyKey:                "Idempotency-Key",
	NameXPoweredBy:                    "X-Powered-By",
}
