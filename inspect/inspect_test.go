package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"livejit"
	"livejit/inspect"
)

// Of program, g has a stack map.
const program = `declare void @llvm.experimental.stackmap(i64, i32, ...)
define i64 @g(i64 %x) { call void (i64, i32, ...) @llvm.experimental.stackmap(i64 7, i32 0, i64 %x, i64 5) %r = add i64 %x, 1 ret i64 %r }
define i64 @f(i64 %x) { %r = call i64 @g(i64 %x) ret i64 %r }`

func small(t *testing.T, options ...livejit.Option) *livejit.Engine {
	t.Helper()
	eng, err := livejit.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := eng.Add(context.Background(), livejit.IR("p.ll", program)); err != nil {
		t.Fatal(err)
	}
	return eng
}

// ask gives a handler a request from this machine, changed by edit.
func ask(h http.Handler, method, target string, edit func(*http.Request)) (int, string) {
	r := httptest.NewRequest(method, "http://127.0.0.1:8077"+target, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestWhoMayLook(t *testing.T) {
	eng := small(t)
	closed := inspect.Handler(eng)
	remote := inspect.Handler(eng, inspect.AllowRemote(), inspect.AllowHost("jit.example.org"))
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	from := func(address string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = address } }
	for _, c := range []struct {
		what    string
		handler http.Handler
		edit    func(*http.Request)
		want    int
	}{
		{"this machine", closed, nil, 200},
		{"IPv6", closed, func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:40000", "[::1]:8077" }, 200},
		{"localhost", closed, host("localhost:8077"), 200},
		{"a name rebound to this machine", closed, host("evil.example:8077"), 403},
		{"an address of another machine as host", closed, host("192.0.2.1:8077"), 403},
		{"no host", closed, host(""), 403},
		{"a name that begins like localhost", closed, host("localhost.evil.example"), 403},
		{"its own page", closed, header("Origin", "http://127.0.0.1:8077", "Sec-Fetch-Site", "same-origin"), 200},
		{"a foreign page", closed, header("Origin", "http://evil.example"), 403},
		{"another port of this machine", closed, header("Origin", "http://127.0.0.1:3000"), 403},
		{"a page without origin", closed, header("Origin", "null"), 403},
		{"an image of a foreign page", closed, header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), 403},
		{"a link on a foreign page", closed, header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), 200},
		{"another machine", closed, from("192.0.2.7:40000"), 403},
		{"another machine, allowed", remote, from("192.0.2.7:40000"), 200},
		{"a host that is allowed", remote, host("JIT.example.org"), 200},
		{"a host that is not", remote, host("other.example.org"), 403},
	} {
		for _, target := range []string{"/", "/api/counters"} {
			if got, body := ask(c.handler, "GET", target, c.edit); got != c.want {
				t.Errorf("%s: %s answers %d, want %d: %.100s", c.what, target, got, c.want, body)
			}
		}
	}
}

func TestChanges(t *testing.T) {
	eng := small(t)
	invalidate := "/api/invalidate?module=p.ll&name=g"
	if status, body := ask(inspect.Handler(eng), "POST", invalidate, nil); status != 403 || !strings.Contains(body, "AllowChanges") {
		t.Errorf("a change without leave: %d %s", status, body)
	}
	h := inspect.Handler(eng, inspect.AllowChanges())
	if status, _ := ask(h, "GET", invalidate, nil); status != 404 { // there is no such page
		t.Errorf("a change by GET: %d", status)
	}
	if status, _ := ask(h, "POST", invalidate, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); status != 403 {
		t.Errorf("a change by a foreign page: %d", status)
	}
	if eng.Function("g").Version() != 1 {
		t.Fatal("a refused change was made")
	}
	if status, body := ask(h, "POST", invalidate, nil); status != 200 || eng.Function("g").Version() != 0 {
		t.Errorf("a change: %d %s; version %d", status, body, eng.Function("g").Version())
	}
	if status, body := ask(h, "POST", "/api/quiesce", nil); status != 200 || body != `{"retired":0}` {
		t.Errorf("quiesce: %d %s", status, body)
	}
}

// TestDocumented: docs/inspector.md names every endpoint, each of them exists, and every field of its
// answer is named there too.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/inspector.md")
	if err != nil {
		t.Fatal(err)
	}
	eng := small(t, livejit.WithHistory(2))
	h := inspect.Handler(eng, inspect.AllowChanges())
	if _, err := eng.Replace(context.Background(), livejit.IR("p.ll", strings.Replace(program, "%x, 1", "%x, 2", 1))); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("`(GET|POST) (/api/[a-z/]+)`").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1]+" "+m[2])
		if m[2] == "/api/events/stream" {
			continue // TestStream
		}
		status, body := ask(h, m[1], m[2]+"?module=p.ll&name=g", nil)
		var answer any
		if err := json.Unmarshal([]byte(body), &answer); status != 200 || err != nil {
			t.Errorf("%s %s answers %d: %v %s", m[1], m[2], status, err, body)
		}
		if m[2] == "/api/counters" {
			continue // the fields are those of livejit.Stats and livejit.ModuleStats
		}
		for _, field := range fieldsOf(answer) {
			if !strings.Contains(string(page), "`"+field+"`") {
				t.Errorf("docs/inspector.md does not name the field %q of %s", field, m[2])
			}
		}
	}
	for _, e := range inspect.Endpoints() {
		if !slices.Contains(documented, e) {
			t.Errorf("docs/inspector.md does not name %s", e)
		}
	}
}

// fieldsOf lists the names in a JSON value; the stages of a duration and the names of outcomes are data.
func fieldsOf(v any) (names []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			names = append(names, fieldsOf(item)...)
		}
	case map[string]any:
		for name, value := range v {
			names = append(names, name)
			if name != "duration" && name != "outcomes" {
				names = append(names, fieldsOf(value)...)
			}
		}
	}
	return names
}

// mapped has a statepoint with a root and a stack object, and a patchpoint with live-outs.
const mapped = `declare void @f()
declare token @llvm.experimental.gc.statepoint.p0(i64 immarg, i32 immarg, ptr, i32 immarg, i32 immarg, ...)
declare ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token, i32 immarg, i32 immarg)
declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
define ptr addrspace(1) @collected(ptr addrspace(1) %o) gc "statepoint-example" {
  %t = call token (i64, i32, ptr, i32, i32, ...) @llvm.experimental.gc.statepoint.p0(i64 21, i32 0, ptr elementtype(void ()) @f, i32 0, i32 0, i32 0, i32 0) ["gc-live"(ptr addrspace(1) %o), "deopt"(i64 9)]
  %r = call ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token %t, i32 0, i32 0)
  ret ptr addrspace(1) %r
}
define i64 @patched(i64 %a) {
  %r = call anyregcc i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 22, i32 15, ptr null, i32 1, i64 %a, i64 7)
  ret i64 %r
}
`

func TestStackMaps(t *testing.T) {
	eng := small(t)
	if _, err := eng.Add(context.Background(), livejit.IR("mapped.ll", mapped)); err != nil {
		t.Fatalf("%+v", err)
	}
	h := inspect.Handler(eng)
	type location struct{ Kind, Register, Text string }
	records := func(name string) (list []struct {
		ID         uint64
		Address    uint64
		Offset     uint64
		StackSize  int64 `json:"stack_size"`
		Locations  []location
		LiveOuts   []struct{ Register string } `json:"live_outs"`
		Statepoint *struct {
			Deopt []location
			Roots []struct{ Base, Derived location }
		}
	}) {
		t.Helper()
		answer := struct{ Records any }{&list}
		if status, body := ask(h, "GET", "/api/stackmaps?name="+name, nil); status != 200 || json.Unmarshal([]byte(body), &answer) != nil {
			t.Fatalf("%d: %s", status, body)
		}
		return list
	}
	g := records("g")
	if len(g) != 1 || g[0].ID != 7 || len(g[0].Locations) != 2 || g[0].Locations[0].Kind != "Register" || g[0].Locations[1].Text != "$5" || g[0].Statepoint != nil {
		t.Errorf("g: %+v", g)
	}
	if f := eng.Function("g"); g[0].Address != f.StackMaps()[0].Location.PC {
		t.Errorf("the record is at %#x, want %#x", g[0].Address, f.StackMaps()[0].Location.PC)
	}
	c := records("collected")
	if len(c) != 1 || c[0].ID != 21 || c[0].Statepoint == nil || len(c[0].Statepoint.Roots) != 1 || !strings.HasPrefix(c[0].Statepoint.Roots[0].Base.Text, "[rsp") || len(c[0].Statepoint.Deopt) != 1 || c[0].Statepoint.Deopt[0].Text != "$9" {
		t.Errorf("collected: %+v", c)
	}
	if p := records("patched"); len(p) != 1 || p[0].ID != 22 || p[0].StackSize < 0 {
		t.Errorf("patched: %+v", p)
	}
	if f := records("f"); len(f) != 0 {
		t.Errorf("f: %+v", f)
	}
}

func TestAnswers(t *testing.T) {
	eng := small(t)
	h := inspect.Handler(eng)
	for target, want := range map[string]int{"/api/nothing": 404, "/api/function?name=nothing": 404, "/api/code?name=g&version=9": 404,
		"/api/code?name=g&version=x": 400, "/api/events?after=x": 400, "/api/events/stream?after=x": 400, "/app.js": 200, "/style.css": 200} {
		if status, body := ask(h, "GET", target, nil); status != want {
			t.Errorf("%s answers %d, want %d: %s", target, status, want, body)
		}
	}
	var g struct {
		Nodes []struct{ Name string }
		Edges [][3]int
	}
	_, body := ask(h, "GET", "/api/graph", nil)
	if err := json.Unmarshal([]byte(body), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Edges) != 1 || g.Nodes[g.Edges[0][0]].Name != "f" || g.Nodes[g.Edges[0][1]].Name != "g" || g.Edges[0][2] != 1 {
		t.Errorf("the graph is %s, want one call, from f to g", body)
	}
	expvar.Publish("livejit", inspect.NewVar(eng))
	var published struct{ Engine livejit.Stats }
	if err := json.Unmarshal([]byte(expvar.Get("livejit").String()), &published); err != nil || published.Engine.Functions != 2 {
		t.Errorf("published: %v, %+v", err, published)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if got := expvar.Get("livejit").String(); got != "null" {
		t.Errorf("a closed engine publishes %s", got)
	}
}

// TestClosedEngine: every endpoint answers 503 with JSON, a stream ends with an event, and the page
// itself still comes.
func TestClosedEngine(t *testing.T) {
	eng := small(t)
	h := inspect.Handler(eng, inspect.AllowChanges())
	server := httptest.NewServer(h)
	defer server.Close()
	answer, err := http.Get(server.URL + "/api/events/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := eng.Invalidate("g"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), `"operation":"invalidate"`) || !strings.HasSuffix(string(text), "event: closed\ndata: {}\n\n") {
		t.Errorf("the stream of an engine that was closed: %v\n%s", err, text)
	}
	for _, e := range inspect.Endpoints() {
		method, target, _ := strings.Cut(e, " ")
		status, body := ask(h, method, target+"?name=g", nil)
		if want := fmt.Sprintf(`{"error":%q}`, livejit.ErrClosed.Error()); status != 503 || body != want {
			t.Errorf("%s answers %d %s, want 503 %s", e, status, body, want)
		}
	}
	if status, body := ask(h, "GET", "/", nil); status != 200 || !strings.Contains(body, "<title>livejit") {
		t.Errorf("the page answers %d", status)
	}
	if status, _ := ask(inspect.Handler(eng), "GET", "/api/counters", nil); status != 503 {
		t.Errorf("a handler made after the engine was closed answers %d", status)
	}
}

// TestCloseMeanwhile closes engines while all views are asked for.
func TestCloseMeanwhile(t *testing.T) {
	for range 10 {
		eng := small(t, livejit.WithHistory(2))
		h := inspect.Handler(eng)
		asked := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			for {
				for _, e := range inspect.Endpoints() {
					method, target, _ := strings.Cut(e, " ")
					if method == "POST" || strings.HasSuffix(target, "/stream") {
						continue
					}
					status, body := ask(h, method, target+"?module=p.ll&name=g", nil)
					if status == 503 {
						asked <- nil
						return
					}
					if status != 200 && status != 404 { // names go before the engine does
						asked <- errors.New(e + ": " + body)
						return
					}
				}
			}
		}()
		<-begun
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
}

func ExampleHandler() {
	eng, err := livejit.New()
	if err != nil {
		panic(err)
	}
	defer eng.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/livejit/", http.StripPrefix("/debug/livejit", inspect.Handler(eng)))
	server := httptest.NewServer(mux) // a program listens on 127.0.0.1:8077, say
	defer server.Close()
	answer, err := http.Get(server.URL + "/debug/livejit/api/functions")
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	fmt.Println(answer.Status, string(text), err)
	// Output: 200 OK [] <nil>
}
