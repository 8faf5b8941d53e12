package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// webSocketBytes is the size of a message.
const webSocketBytes = 64

// A frame with a message, masked with zeros as a client may choose to
// (RFC 6455 §5.3 asks for chance, which costs the proxy nothing).
var webSocketFrame = append([]byte{0x82, 0x80 | webSocketBytes, 0, 0, 0, 0}, make([]byte, webSocketBytes)...)

// webSocket exchanges messages on one connection.
type webSocket struct {
	t    Target
	http *Client // whose connection it is
	r    *bufio.Reader
}

func (s *webSocket) Connect(ctx context.Context) error {
	if s.http != nil {
		return nil
	}
	c := NewClient(s.t)
	if err := c.Connect(ctx); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		c.Close()
		return err
	}
	req := "GET " + s.t.Path + " HTTP/1.1\r\nHost: " + s.t.Addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(c.conn, req); err != nil {
		c.Close()
		return err
	}
	r := bufio.NewReader(c.conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		c.Close()
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.Close()
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	s.http, s.r = c, r
	return nil
}

func (s *webSocket) Close() {
	if s.http != nil {
		s.http.Close()
		s.http = nil
	}
}

var errEcho = errors.New("the echo is not the message")

func (s *webSocket) Do(ctx context.Context, _ int) (err error) {
	if err := s.Connect(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	conn := s.http.conn
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write(webSocketFrame); err != nil {
		return err
	}
	var frame [2 + webSocketBytes]byte
	if _, err := io.ReadFull(s.r, frame[:]); err != nil {
		return err
	}
	if !bytes.Equal(frame[:2], []byte{0x82, webSocketBytes}) {
		return errEcho
	}
	return nil
}
