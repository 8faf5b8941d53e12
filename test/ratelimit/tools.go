//go:build tools

package ratelimit

import _ "github.com/envoyproxy/ratelimit/src/service_cmd"
