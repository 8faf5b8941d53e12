package h1_test

import (
	"errors"

	"github.com/gridway/gridway/internal/wire/h1"
)

// codeOf is the code of the codec's error, or "?" for any other.
func codeOf(err error) string {
	var e *h1.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "?"
}

// statusOf is the status of the codec's error, or 0 for any other.
func statusOf(err error) int {
	var e *h1.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
