package connect

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"google.golang.org/protobuf/encoding/protowire"
)

// A part is what the test's binary does in place of one of the suite's programs.
var parts = map[string]func() error{"server": serverPart, "client": clientPart}

// Field numbers of connectrpc.conformance.v1, whose Go package is internal.
const (
	serverRequestProtocol   = 1
	serverRequestVersion    = 2
	serverRequestTLS        = 4
	serverRequestClientCert = 5
	serverRequestCreds      = 7
	serverResponsePort      = 2
	serverResponseCert      = 3
	clientRequestVersion    = 2
	clientRequestHost       = 6
	clientRequestPort       = 7
	clientRequestServerCert = 8
	clientRequestCreds      = 9
	credsCert               = 1
	credsKey                = 2

	http1 = 1
	http2 = 2
	grpc  = 2
)

// serverPart starts the suite's server and a gateway before it, and reports the
// gateway's address.
func serverPart() error {
	runtime.LockOSThread() // children end with the thread that started them
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	request, err := readMessage(os.Stdin)
	if err != nil {
		return err
	}
	g := gateway{version: request.number(serverRequestVersion)}
	if v := os.Getenv("UPSTREAM_HTTP2"); v != "" {
		g.version = http1
		if v == "true" {
			g.version = http2
		}
		request.setNumber(serverRequestVersion, g.version)
	}
	g.tls = request.number(serverRequestTLS) != 0
	if g.tls {
		creds := request.message(serverRequestCreds)
		g.cert = pair{creds.bytes(credsCert), creds.bytes(credsKey)}
		g.upstreamCA = g.cert.cert
		// The server wants a certificate from the gateway if the gateway wants one
		// from its client.
		if g.clientCA = request.bytes(serverRequestClientCert); len(g.clientCA) > 0 {
			if g.own, err = selfSigned(); err != nil {
				return err
			}
			request.setBytes(serverRequestClientCert, g.own.cert)
		}
	}
	if os.Getenv("BRIDGE") != "" {
		g.bridge, g.version = true, http2
		request.setNumber(serverRequestProtocol, grpc)
		request.setNumber(serverRequestVersion, http2)
		request.setNumber(serverRequestTLS, 0)
		request.setBytes(serverRequestClientCert, nil)
		request.setBytes(serverRequestCreds, nil)
	}
	server := child(os.Getenv("SUITE_SERVER"))
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	if err := request.write(in); err != nil {
		return err
	}
	in.Close()
	response, err := readMessage(out)
	if err != nil {
		return fmt.Errorf("the suite's server: %w", err)
	}
	g.upstreamPort = int(response.number(serverResponsePort))
	if err := g.start(); err != nil {
		return err
	}
	response.setNumber(serverResponsePort, uint64(g.port))
	if g.tls {
		response.setBytes(serverResponseCert, g.cert.cert)
	}
	if err := response.write(os.Stdout); err != nil {
		return err
	}
	<-term
	err = g.stop()
	server.Process.Signal(syscall.SIGTERM)
	server.Wait()
	return err
}

// clientPart starts the suite's client, and a gateway before each server that it
// is told to talk to.
func clientPart() error {
	runtime.LockOSThread()
	client := child(os.Getenv("SUITE_CLIENT"))
	client.Stdout = os.Stdout
	in, err := client.StdinPipe()
	if err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return err
	}
	gateways := map[string]*gateway{}
	for {
		request, err := readMessage(os.Stdin)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		key := fmt.Sprint(request.number(clientRequestPort), string(request.bytes(clientRequestServerCert)))
		g := gateways[key]
		if g == nil {
			g = &gateway{version: request.number(clientRequestVersion), upstreamPort: int(request.number(clientRequestPort))}
			if g.upstreamCA = request.bytes(clientRequestServerCert); len(g.upstreamCA) > 0 {
				g.tls = true
				if g.cert, err = selfSigned(); err != nil {
					return err
				}
				if creds := request.message(clientRequestCreds); creds != nil {
					g.own = pair{creds.bytes(credsCert), creds.bytes(credsKey)}
					g.clientCA = g.own.cert
				}
			}
			if err := g.start(); err != nil {
				return err
			}
			gateways[key] = g
		}
		request.setNumber(clientRequestPort, uint64(g.port))
		if g.tls {
			request.setBytes(clientRequestServerCert, g.cert.cert)
		}
		if err := request.write(in); err != nil {
			return err
		}
	}
	in.Close()
	err = client.Wait()
	for _, g := range gateways {
		if stopErr := g.stop(); err == nil {
			err = stopErr
		}
	}
	return err
}

// child is a program that ends when this one does.
func child(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// message is one of the suite's messages, field by field.
type message []field

type field struct {
	number protowire.Number
	raw    []byte // with its tag
	value  []byte // of a length-delimited field
	varint uint64
}

func parseMessage(b []byte) (m message, err error) {
	for len(b) > 0 {
		n, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil, protowire.ParseError(tag)
		}
		size := protowire.ConsumeFieldValue(n, kind, b[tag:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		f := field{number: n, raw: b[:tag+size]}
		switch kind {
		case protowire.VarintType:
			f.varint, _ = protowire.ConsumeVarint(b[tag:])
		case protowire.BytesType:
			f.value, _ = protowire.ConsumeBytes(b[tag:])
		}
		m = append(m, f)
		b = b[tag+size:]
	}
	return m, nil
}

// readMessage reads a message behind its length, as the suite frames them.
func readMessage(r io.Reader) (message, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return parseMessage(b)
}

func (m message) write(w io.Writer) error {
	out := make([]byte, 4)
	for _, f := range m {
		out = append(out, f.raw...)
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := w.Write(out)
	return err
}

func (m message) find(n protowire.Number) field {
	for _, f := range m {
		if f.number == n {
			return f
		}
	}
	return field{}
}

func (m message) number(n protowire.Number) uint64 { return m.find(n).varint }
func (m message) bytes(n protowire.Number) []byte  { return m.find(n).value }

func (m message) message(n protowire.Number) message {
	out, err := parseMessage(m.bytes(n))
	if err != nil {
		panic(err)
	}
	return out
}

func (m *message) set(f field) {
	for i := range *m {
		if (*m)[i].number == f.number {
			(*m)[i] = f
			return
		}
	}
	*m = append(*m, f)
}

func (m *message) setNumber(n protowire.Number, v uint64) {
	raw := protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	m.set(field{number: n, raw: raw, varint: v})
}

func (m *message) setBytes(n protowire.Number, v []byte) {
	raw := protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), v)
	m.set(field{number: n, raw: raw, value: v})
}
