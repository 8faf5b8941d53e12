package pipeline

import (
	"errors"

	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/h3"
)

// isFraming tells errors of what was said on a connection from errors of the
// connection itself.
func isFraming(err error) bool {
	var bad *h1.Error
	var bad2 *h2.Error
	var bad3 *h3.Error
	return errors.As(err, &bad) || errors.As(err, &bad2) || errors.As(err, &bad3) || errors.Is(err, http1.ErrResponseHeadTooLarge)
}
