package httpmsg_test

import (
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestCopyIsIndependent(t *testing.T) {
	buf := []byte("GEThost/pathqueryx-aone")
	var src, dst httpmsg.Request
	src.Method, src.MethodID = buf[0:3], httpmsg.MethodGet
	src.Host, src.Path, src.Query, src.HasQuery = buf[3:7], buf[7:12], buf[12:17], true
	src.Header.Add(buf[17:20], buf[20:23])
	src.Header.AddID(httpmsg.NameAccept, buf[20:23])
	src.Header.At(1).Sensitive = true
	dst.Header.Add([]byte("old"), []byte("gone"))
	dst.CopyFrom(&src)
	for i := range buf {
		buf[i] = '#'
	}
	if string(dst.Method) != "GET" || string(dst.Host) != "host" || string(dst.Path) != "/path" || string(dst.Query) != "query" || !dst.HasQuery {
		t.Errorf("the copy refers to the source's buffer: %s %s%s?%s", dst.Method, dst.Host, dst.Path, dst.Query)
	}
	if got := string(dst.Header.GetString("X-A")); got != "one" {
		t.Errorf("x-a is %q", got)
	}
	if got := string(dst.Header.Get(httpmsg.NameAccept)); got != "one" {
		t.Errorf("accept is %q", got)
	}
	if dst.Header.At(0).Sensitive || !dst.Header.At(1).Sensitive {
		t.Error("what must not be remembered is not marked")
	}
	if dst.Header.Len() != 2 {
		t.Errorf("%d fields, want 2", dst.Header.Len())
	}
}
