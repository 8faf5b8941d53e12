package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

func TestLogWritesOnClose(t *testing.T) {
	var out bytes.Buffer
	l := accesslog.New(&out, accesslog.Options{})
	l.Log(&accesslog.Entry{Start: time.Unix(1, 5), Method: []byte("GET"), Path: []byte("/\n\xff"), Status: 200})
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	if got["path"] != "/\n\ufffd" || got["time"] != "1970-01-01T00:00:01.000000005Z" {
		t.Errorf("wrote %s", out.String())
	}
}
