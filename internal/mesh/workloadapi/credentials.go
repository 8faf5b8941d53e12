package workloadapi

import (
	"context"
	"errors"
	"net"

	grpccredentials "google.golang.org/grpc/credentials"

	"golang.org/x/sys/unix"
)

// credentials are those of a Unix socket: nothing is encrypted, and the kernel says who is
// at the other end.
type credentials struct{}

// callerInfo is what it says.
type callerInfo struct {
	grpccredentials.CommonAuthInfo
	Caller
}

// AuthType is the name of the kind.
func (callerInfo) AuthType() string { return "peercred" }

var errSocket = errors.New("the Workload API is served on Unix sockets alone")

// ServerHandshake asks the kernel.
func (credentials) ServerHandshake(c net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, nil, errSocket
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, nil, err
	}
	if failed != nil {
		return nil, nil, failed
	}
	return c, callerInfo{grpccredentials.CommonAuthInfo{SecurityLevel: grpccredentials.PrivacyAndIntegrity}, Caller{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}}, nil
}

// ClientHandshake is for the other side, which is no part of this package.
func (credentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	return nil, nil, errSocket
}

// Info names the kind.
func (credentials) Info() grpccredentials.ProtocolInfo {
	return grpccredentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

// Clone is the same.
func (c credentials) Clone() grpccredentials.TransportCredentials { return c }

// OverrideServerName has no meaning here.
func (credentials) OverrideServerName(string) error { return nil }
