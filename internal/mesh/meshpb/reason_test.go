package meshpb_test

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

func TestReason(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:15010: connect: no route to host"`: "dial tcp 10.0.0.1:15010: connect: no route to host",
		`connection error: desc = "transport: authentication handshake failed: \"root 1\" is not known"`:                `authentication handshake failed: "root 1" is not known`,
		`last connection error: connection error: desc = "error reading server preface: EOF"`:                           "error reading server preface: EOF",
		"the join token has ended":            "the join token has ended",
		"connection error: desc = not quoted": "connection error: desc = not quoted",
	} {
		if got := meshpb.Reason(status.Error(codes.Unavailable, said)); got != want {
			t.Errorf("%s: %s, want %s", said, got, want)
		}
	}
	if got := meshpb.Reason(errors.New("no call")); got != "no call" {
		t.Error(got)
	}
}
