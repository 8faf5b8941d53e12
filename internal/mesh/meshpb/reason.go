package meshpb

import (
	"strconv"
	"strings"

	"google.golang.org/grpc/status"
)

// Reason is what an error of a call says without what gRPC puts around it: the code and,
// where there is no connection, which of its layers had none.
func Reason(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	text := s.Message()
	_, quoted, found := strings.Cut(text, "connection error: desc = ")
	if !found {
		return text
	}
	literal, err := strconv.QuotedPrefix(quoted)
	if err != nil {
		return text
	}
	inner, err := strconv.Unquote(literal)
	if err != nil {
		return text
	}
	return strings.TrimPrefix(strings.TrimPrefix(inner, "transport: "), "Error while dialing: ")
}
