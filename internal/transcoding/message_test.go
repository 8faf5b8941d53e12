package transcoding_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/gridway/gridway/internal/transcoding"
)

// read is a message of gRPC as JSON.
func read(t testing.TB, s *transcoding.Schema, b *transcoding.Binding, message []byte) string {
	t.Helper()
	// Through a method that answers what it gets.
	text, err := s.InputJSON(b, message)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRequests(t *testing.T) {
	s := library(t)
	plain := "/library.v1.Library/Plain"
	for _, c := range []struct{ request, body, method, want string }{
		{"GET /v1/shelves/1/books/2", "", "GetBook", `{"name":"shelves/1/books/2"}`},
		{"GET /v1/shelves/a%20b/books/c%2Fd", "", "GetBook", `{"name":"shelves/a b/books/c%2Fd"}`},
		{"GET /v1/books/c%2Fd", "", "GetBook", `{"name":"c/d"}`},
		{"GET /v1/books/x?readMask=title,author.fullName", "", "GetBook", `{"name":"x","readMask":"title,author.fullName"}`},
		{"GET /v1/books/x?read_mask=title", "", "GetBook", `{"name":"x","readMask":"title"}`},
		{"POST /v1/shelves/1/books?dryRun=true", `{"title":"T"}`, "CreateBook", `{"parent":"shelves/1","book":{"title":"T"},"dryRun":true}`},
		{"POST /v1/shelves/1/books", ``, "CreateBook", `{"parent":"shelves/1"}`},
		{"PATCH /v1/shelves/1/books/2?update_mask=title", `{"name":"lies","title":"T","genre":"NOVEL"}`, "UpdateBook", `{"book":{"name":"shelves/1/books/2","title":"T","genre":"NOVEL"},"updateMask":"title"}`},
		{"DELETE /v1/shelves/1/books/2", "", "DeleteBook", `{"name":"shelves/1/books/2"}`},
		{"POST /v1/loans/7:cancel", `{"reason":"late"}`, "CancelLoan", `{"name":"loans/7","reason":"late"}`},
		{"GET /files/a/b/c.txt", "", "GetFile", `{"name":"a/b/c.txt"}`},
		{"GET /files", "", "GetFile", `{}`},
		{"PUT /files/a", "raw", "PutFile", `{"name":"a","content":{"contentType":"text/x","data":"cmF3"}}`},
		{
			"GET /v1/books?pageSize=10&genre=NOVEL&genre=2&author.fullName=A+B&author.aliases=x&author.aliases=y&byPages=true", "", "List",
			`{"pageSize":10,"genre":["NOVEL","POETRY"],"author":{"fullName":"A B","aliases":["x","y"]},"byPages":true}`,
		},
		{"SEARCH /v1/books", `{"pageSize":3}`, "List", `{"pageSize":3}`},
		{"GET /v1/books:watch?page_size=1", "", "Watch", `{"pageSize":1}`},
		{"PUT /v1/tags/5", `["a","b"]`, "SetTags", `{"id":5,"tags":["a","b"]}`},
		{"POST " + plain, `{"i64":"5","raw":"AQI=","inner":{"s":"x"},"labels":{"k":"v"}}`, "Plain", `{"i64":"5","raw":"AQI=","inner":{"s":"x"},"labels":{"k":"v"}}`},
		{"POST " + plain, "", "Plain", `{}`},
	} {
		t.Run(c.request, func(t *testing.T) {
			m, query := find(t, s, c.request)
			if want := "library.v1.Library." + c.method; m.Name != want {
				t.Fatalf("%s, want %s", m.Name, want)
			}
			message, err := s.Message(&m, &transcoding.JSON{}, query, []byte(c.body), "text/x")
			if err != nil {
				t.Fatal(err)
			}
			same(t, read(t, s, m.Binding, message), c.want)
		})
	}
}

func find(t testing.TB, s *transcoding.Schema, request string) (transcoding.Match, string) {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	path, query, _ := strings.Cut(target, "?")
	m, allowed, ok := s.Find(method, path)
	if !ok {
		if b := s.ByPath([]byte(path)); b != nil {
			return transcoding.Match{Binding: b}, query
		}
		t.Fatalf("%s: no binding; allowed %v", request, allowed)
	}
	return m, query
}

func same(t testing.TB, got, want string) {
	t.Helper()
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBadRequests(t *testing.T) {
	s := library(t)
	for _, c := range []struct{ request, body, want string }{
		{"GET /v1/books/x?nome=1", "", "the query: library.v1.GetBookRequest has no field nome"},
		{"GET /v1/books/x?name=y", "", "the query: name is in the path already"},
		{"GET /v1/books/%zz", "", "the path's percent-encoding is not valid"},
		{"GET /v1/books/%ff", "", "name in the path: it is not UTF-8"},
		{"GET /v1/books/x?read_mask=%zz", "", "the query's percent-encoding is not valid"},
		{"GET /v1/books?pageSize=ten", "", "page_size in the query: it is not of type int32"},
		{"GET /v1/books?pageSize=3000000000", "", "page_size in the query: it is not of type int32"},
		{"GET /v1/books?genre=OPERA", "", "genre in the query: it is no value of library.v1.Genre"},
		{"GET /v1/books?author=x", "", "the query: author: a library.v1.Author cannot be set by text"},
		{"GET /v1/books?pageSize.x=1", "", "the query: library.v1.ListRequest.page_size is no message, and has no fields"},
		{"GET /v1/books?byTitle=x&byPages=true", "", "by_pages in the query: by_title is set already, and only one of them can be"},
		{"GET /v1/books?" + strings.Repeat("&", 1000), "", "the query has more than 1000 parameters"},
		{"POST /v1/loans/7:cancel?reason=x", "", "this method takes no parameters in the query: all its fields are in the body"},
		{"POST /v1/shelves/1/books?book.title=x", "{}", "the query: book.title is in the body"},
		{"POST /v1/shelves/1/books", `{"titel":"T"}`, `the body is not a library.v1.Book: (line 1:2): unknown field "titel"`},
		{"POST /v1/shelves/1/books", `{`, "the body is not a library.v1.Book: unexpected EOF"},
		{"PUT /v1/tags/5", `["a"],"id":3`, "the body is not valid JSON"},
		{"PUT /v1/tags/x", `[]`, "id in the path: it is not of type int32"},
	} {
		t.Run(c.request, func(t *testing.T) {
			m, query := find(t, s, c.request)
			_, err := s.Message(&m, &transcoding.JSON{}, query, []byte(c.body), "")
			var input *transcoding.InputError
			if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	m, query := find(t, s, "POST /v1/shelves/1/books?nome=1")
	if _, err := s.Message(&m, &transcoding.JSON{IgnoreUnknown: true}, query, []byte(`{"titel":"T"}`), ""); err != nil {
		t.Error(err)
	}
}

// Every kind of field can be in a query.
func TestQueryValues(t *testing.T) {
	s := kinds(t)
	for query, want := range map[string]string{
		"d=1.5": `{"d":1.5}`, "d=NaN": `{"d":"NaN"}`, "f=-Infinity": `{"f":"-Infinity"}`, "i32=-1": `{"i32":-1}`, "i64=-1": `{"i64":"-1"}`,
		"u32=1": `{"u32":1}`, "u64=18446744073709551615": `{"u64":"18446744073709551615"}`, "s32=-5": `{"s32":-5}`, "f64=5": `{"f64":"5"}`,
		"b=true": `{"b":true}`, "b=0": `{}`, "s=a%26b": `{"s":"a&b"}`, "raw=AQI": `{"raw":"AQI="}`, "raw=_-8%3D": `{"raw":"/+8="}`, "numbers=1&numbers=2": `{"numbers":[1,2]}`,
		"inner.inner.s=x": `{"inner":{"inner":{"s":"x"}}}`, "at=2026-01-02T03:04:05Z": `{"at":"2026-01-02T03:04:05Z"}`, "lasting=1.5s": `{"lasting":"1.500s"}`,
		"maybe=5": `{"maybe":"5"}`, "perhaps=true": `{"perhaps":true}`, "ratio=0.5": `{"ratio":0.5}`, "text=null": `{"text":"null"}`,
		"times=2026-01-02T03:04:05Z&times=2026-01-02T03:04:06Z": `{"times":["2026-01-02T03:04:05Z","2026-01-02T03:04:06Z"]}`,
		"nickName=": `{"nickName":""}`, "nick_name=x": `{"nickName":"x"}`,
	} {
		m, _, _ := s.Find("GET", "/e")
		message, err := s.Message(&m, &transcoding.JSON{}, query, nil, "")
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		same(t, read(t, s, m.Binding, message), want)
	}
	for _, query := range []string{"d=0x1", "d=x", "f=1e99", "b=yes", "raw=%21", "raw=A%0AQI", "at=now", "lasting=1", "maybe=x", "perhaps=1", "labels=x", "labels.k=v", "free=x", "u32=-1", "i32=1.5", "inner=x"} {
		m, _, _ := s.Find("GET", "/e")
		if _, err := s.Message(&m, &transcoding.JSON{}, query, nil, ""); err == nil {
			t.Errorf("%s is taken", query)
		}
	}
}

func kinds(t testing.TB) *transcoding.Schema {
	t.Helper()
	return edited(t, "rpc Plain(Everything) returns (Everything);", `rpc Plain(Everything) returns (Everything) { option (google.api.http) = { get: "/e" }; }`)
}

func TestResponses(t *testing.T) {
	s := library(t)
	answer := func(request, message string, j transcoding.JSON) string {
		t.Helper()
		m, _ := find(t, s, request)
		in, err := s.OutputMessage(m.Binding, message)
		if err != nil {
			t.Fatal(err)
		}
		body, kind, err := s.Response(m.Binding, &j, in)
		if err != nil {
			t.Fatal(err)
		}
		return kind + string(body)
	}
	book := `{"name":"b","genre":"NOVEL","author":{"fullName":"A"}}`
	for _, c := range []struct {
		request, message string
		j                transcoding.JSON
		want             string
	}{
		{"GET /v1/books/x", book, transcoding.JSON{}, `{"name":"b","genre":"NOVEL","author":{"fullName":"A"}}`},
		{"GET /v1/books/x", book, transcoding.JSON{EnumNumbers: true, ProtoNames: true}, `{"name":"b","genre":1,"author":{"full_name":"A"}}`},
		{"GET /v1/books/x", `{"name":"b"}`, transcoding.JSON{Defaults: true}, `{"name":"b","title":"","genre":"GENRE_UNSPECIFIED","pages":"0"}`},
		{"GET /v1/books", `{"books":[{"name":"b"}],"next":"n"}`, transcoding.JSON{}, `[{"name":"b"}]`},
		{"GET /v1/books", `{"next":"n"}`, transcoding.JSON{}, `[]`},
		{"SEARCH /v1/books", `{"next":"n"}`, transcoding.JSON{}, `"n"`},
		{"SEARCH /v1/books", `{}`, transcoding.JSON{ProtoNames: true}, `""`},
		{"GET /files/x", `{"contentType":"text/plain","data":"aGk="}`, transcoding.JSON{}, `text/plainhi`},
		{"DELETE /v1/shelves/1/books/2", `{}`, transcoding.JSON{}, `{}`},
	} {
		if got := answer(c.request, c.message, c.j); got != c.want {
			t.Errorf("%s: %s, want %s", c.request, got, c.want)
		}
	}
	m, _ := find(t, s, "GET /v1/books/x")
	if _, _, err := s.Response(m.Binding, &transcoding.JSON{}, []byte{0xff}); err == nil {
		t.Error("bytes that are no message are taken")
	}
}

func TestPaths(t *testing.T) {
	s := library(t)
	for _, c := range []struct{ request, allowed string }{
		{"PUT /v1/books/x", "GET"},
		{"GET /v1/loans/7:cancel", "POST"},
		{"GET /v1/books/", ""},
		{"GET /v1/books/x/y", ""},
		{"GET /v1/shelves/1/books", "POST"},
		{"GET /v1/loans/7", ""},
		{"GET /v1/books/x:nothing", "found"},
		{"DELETE /v1/books", "GET SEARCH"},
		{"GET v1", ""},
		{"GET /", ""},
		{"GET /" + strings.Repeat("a/", 300), ""},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		_, allowed, ok := s.Find(method, path)
		got := strings.Join(allowed, " ")
		if ok {
			got = "found"
		}
		if got != c.allowed {
			t.Errorf("%s: %q, want %q", c.request, got, c.allowed)
		}
	}
}

func TestStatus(t *testing.T) {
	s := library(t)
	none := (*transcoding.Schema)(nil)
	for _, c := range []struct {
		s       *transcoding.Schema
		details []byte
		want    string
	}{
		{s, nil, `{"code":5,"message":"m","details":[]}`},
		{none, []byte{0xff}, `{"code":5,"message":"m","details":[]}`},
		{none, details(t, "a.B", ""), `{"code":5,"message":"m","details":[{"@type":"type.googleapis.com/a.B","value":""}]}`},
		{s, details(t, "library.v1.Author", "\n\x0bJane Austen"), `{"code":5,"message":"m","details":[{"@type":"type.googleapis.com/library.v1.Author","fullName":"Jane Austen"}]}`},
		{none, details(t, "google.rpc.ErrorInfo", "\n\x04LATE"), `{"code":5,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"LATE"}]}`},
	} {
		same(t, string(c.s.Status(&transcoding.JSON{}, 5, "m", c.details)), c.want)
	}
}

func details(t testing.TB, name, value string) []byte {
	t.Helper()
	b, err := proto.Marshal(&status.Status{Details: []*anypb.Any{{TypeUrl: "type.googleapis.com/" + name, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzRequest(f *testing.F) {
	s := library(f)
	for _, v := range [][3]string{
		{"GET", "/v1/books?pageSize=10&genre=NOVEL&author.aliases=x", ""},
		{"POST", "/v1/loans/7:cancel", `{"reason":"x"}`},
		{"PUT", "/v1/tags/5", `["a"]`},
		{"GET", "/files/%2Fa/b", ""},
		{"PATCH", "/v1/shelves/1/books/2?update_mask=a", `{"extra":{"@type":"x"}}`},
	} {
		f.Add(v[0], v[1], []byte(v[2]))
	}
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		path, query, _ := strings.Cut(target, "?")
		m, _, ok := s.Find(method, path)
		if !ok {
			return
		}
		message, err := s.Message(&m, &transcoding.JSON{}, query, body, "")
		if err != nil {
			var input *transcoding.InputError
			if !errors.As(err, &input) {
				t.Fatal(err)
			}
			return
		}
		if _, err := s.InputJSON(m.Binding, message); err != nil && len(body) == 0 && !strings.Contains(target, "%") && !strings.ContainsAny(query, "TZ:.") {
			t.Fatalf("%s %s: %v", method, target, err)
		}
	})
}
