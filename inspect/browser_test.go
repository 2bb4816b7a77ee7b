package inspect_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"livejit"
	"livejit/clang"
	"livejit/inspect"
	"livejit/internal/csources"
)

// browser is one tab of a headless Chromium, and what its console said.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

// newBrowser starts Chromium, which scripts/setup installs.
func newBrowser(t *testing.T, url string) *browser {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancelTime)
	b := &browser{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the browser has ended
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.mu.Lock()
				b.errors = append(b.errors, m.String())
				b.mu.Unlock()
			}
		}
	}()
	b.do(chromedp.Navigate(url))
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// open shows a view and waits until it is drawn.
func (b *browser) open(hash string) {
	b.t.Helper()
	view, _, _ := strings.Cut(strings.TrimPrefix(hash, "#/"), "?")
	eval[bool](b, fmt.Sprintf("document.querySelector('.view')?.removeAttribute('data-ready'); if (location.hash === %q) dispatchEvent(new Event('hashchange')); else location.hash = %q; true", hash, hash))
	b.do(chromedp.WaitReady(fmt.Sprintf(".view[data-view=%s][data-ready]", view)))
	if fault := eval[string](b, "document.querySelector('.view > .fault')?.textContent ?? ''"); fault != "" {
		b.t.Fatalf("%s: %s", hash, fault)
	}
}

func (b *browser) shape(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		b.t.Fatal(err)
	}
}

// shoot takes a picture if LIVEJIT_SCREENSHOTS names a folder.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("LIVEJIT_SCREENSHOTS")
	if dir == "" {
		return
	}
	time.Sleep(300 * time.Millisecond)
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// noErrors fails if the console has said something wrong.
func (b *browser) noErrors() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("console: %s", e)
	}
}

const work = `#include "sqlite3-binding.h"
int work(int rows) {
  sqlite3 *db;
  sqlite3_stmt *s;
  int sum = 0;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1;
  sqlite3_prepare_v2(db, "with recursive n(i) as (select 1 union all select i+1 from n where i < ?) select sum(i) from n", -1, &s, 0);
  sqlite3_bind_int(s, 1, rows);
  if (sqlite3_step(s) == SQLITE_ROW) sum = sqlite3_column_int(s, 0);
  sqlite3_finalize(s);
  sqlite3_close(db);
  return sum;
}
`

// sqlite returns an engine with SQLite, with debug information, in which queries run until the test ends.
func sqlite(t *testing.T) *livejit.Engine {
	t.Helper()
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	eng, err := livejit.New(livejit.WithHistory(4), livejit.WithDebug())
	if err != nil {
		t.Fatal(err)
	}
	front := clang.Options{Flags: []string{"-g", "-I" + dir}}
	if _, err := eng.Add(context.Background(), clang.File(filepath.Join(dir, "sqlite3-binding.c"), front), clang.Source("work.c", work, front)); err != nil {
		t.Fatalf("%+v", err)
	}
	var query func(int32) (int32, error)
	if err := eng.Bind("work", &query); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if sum, err := query(200); sum != 20100 || err != nil {
				t.Errorf("the workload has found %d, %v", sum, err)
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		wait.Wait()
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return eng
}

// serve serves an engine's inspector. Its end comes after that of a browser made later.
func serve(t *testing.T, eng *livejit.Engine, options ...inspect.Option) string {
	t.Helper()
	server := httptest.NewServer(inspect.Handler(eng, options...))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// replaceVersion gives SQLite another version number, by an edit of its IR.
func replaceVersion(t *testing.T, eng *livejit.Engine, n int) {
	t.Helper()
	ir, err := eng.Function("sqlite3_libversion_number").IR()
	if err != nil {
		t.Fatal(err)
	}
	edited := regexp.MustCompile(`ret i32 \d+`).ReplaceAllString(ir, fmt.Sprintf("ret i32 %d", n))
	if _, err := eng.Replace(context.Background(), livejit.IR("edit.ll", edited)); err != nil {
		t.Fatalf("%+v", err)
	}
}

// TestViews opens every view on SQLite while it works and is replaced, and compares what it shows
// with the API. LIVEJIT_SCREENSHOTS=DIR keeps pictures of all views.
func TestViews(t *testing.T) {
	eng := sqlite(t)
	b := newBrowser(t, serve(t, eng))
	b.open("#/timeline")
	pin, err := eng.Function("sqlite3_libversion_number").Pin()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		replaceVersion(t, eng, 41+i)
	}
	module := eng.Modules()[0]
	name := func(view, function, more string) string {
		return "#/" + view + "?" + url.Values{"module": {module.Name()}, "name": {function}}.Encode() + more
	}
	text := func(selector string) string {
		return eval[string](b, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.textContent).join('\\n')", selector))
	}
	want := func(what, got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%s shows\n%s\nwithout %q", what, got, want)
		}
	}

	b.do(chromedp.Poll[chromedp.Void](`document.querySelectorAll(".timeline > li").length === 5`))
	want("the timeline", text(".timeline > li:first-child .verdicts"), "replaced sqlite3_libversion_number@6")
	if n := eval[int](b, "document.querySelectorAll('.timeline > li:first-child .stages span').length"); n != 6 {
		t.Errorf("%d stages, want 6", n)
	}

	b.open("#/functions")
	want("the list", text(".row .soft"), strconv.FormatInt(int64(len(module.Functions())/1000), 10)+",")
	eval[bool](b, `(() => { const i = document.querySelector("input[type=search]"); i.value = "sqlite3VdbeExec"; i.dispatchEvent(new Event("input")); return true })()`)
	f := eng.Function("sqlite3VdbeExec")
	if f == nil {
		f = module.Function("sqlite3VdbeExec")
	}
	row := text("tbody tr:first-child td.n")
	if fields := strings.Split(row, "\n"); strings.ReplaceAll(fields[1], ",", "") != strconv.Itoa(f.Size()) || fields[2] != strconv.Itoa(len(f.Callers())) || fields[3] != strconv.Itoa(len(f.Callees())) {
		t.Errorf("row %q; the function has %d bytes, %d callers, %d callees", fields, f.Size(), len(f.Callers()), len(f.Callees()))
	}

	b.open(name("functions", "sqlite3_libversion_number", ""))
	want("a function", text(".view"), "it is pinned")
	want("its versions", text("tbody tr:first-child"), "6current")
	want("its versions", text("tbody tr:last-child"), "1old, in memory")
	want("its callers", text(".columns"), eng.Function("sqlite3_libversion_number").Callers()[0].Name)

	b.open(name("code", "sqlite3_libversion_number", ""))
	want("the source", text(".pane:first-child .listing"), "sqlite3_libversion_number(void)")
	want("the IR", text(".pane:nth-child(2) .listing"), "ret i32 45")
	want("the machine code", text(".pane:nth-child(3) .listing"), "$0x2d,%eax")
	b.open(name("code", "sqlite3_libversion_number", "&version=6&from=5"))
	want("the comparison", text(".listing .del"), "ret i32 44")
	want("the comparison", text(".listing .add"), "ret i32 45")
	if changed := strings.Split(text(".listing .add"), "\n"); len(changed) != 2 {
		t.Errorf("the comparison shows %d lines that are new, want one of IR and one of machine code: %q", len(changed), changed)
	}

	b.open(name("graph", "sqlite3VdbeExec", ""))
	want("the graph", text(".view > .note"), "functions")
	callees := 0
	for _, d := range f.Callees() {
		if !d.Host && !d.Variable {
			callees++
		}
	}
	want("the neighbourhood", text("svg text"), fmt.Sprintf("refers to %d", callees))

	if _, err := eng.Add(context.Background(), livejit.IR("mapped.ll", strings.Replace(mapped, "declare void @f()", "define void @f() { ret void }", 1))); err != nil {
		t.Fatalf("%+v", err)
	}
	collected := "#/stackmaps?module=mapped.ll&name=collected"
	b.open("#/functions?module=mapped.ll&name=collected")
	want("a function with stack maps", text(".view > .row"), "Stack maps (1)")
	b.open(collected)
	want("the stack maps", text("[data-record='21']"), "roots[rsp+")
	want("the stack maps", text("[data-record='21'] tbody tr:last-child"), "Indirect")

	b.open("#/memory")
	memory, err := eng.MemoryMap()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]uint64{}
	for _, s := range memory.Spans {
		kind := s.Kind.String()
		if s.Retired {
			kind = "retired"
		}
		sums[kind] += s.Size
	}
	for _, kind := range []string{"code", "stubs", "read-only data", "data", "slots", "retired"} {
		if got := eval[string](b, fmt.Sprintf("document.querySelector('[data-kind=%q]').dataset.bytes", kind)); got != strconv.FormatUint(sums[kind], 10) {
			t.Errorf("the memory view shows %s bytes of %s, the map has %d", got, kind, sums[kind])
		}
	}
	if sums["retired"] == 0 {
		t.Error("the pinned version is not retired")
	}

	b.open("#/counters")
	if got := eval[string](b, "document.querySelector('[data-counter=functions]').dataset.value"); got != strconv.Itoa(eng.Stats().Functions) {
		t.Errorf("the counters show %s functions, there are %d", got, eng.Stats().Functions)
	}
	keyboard(t, b)
	all := []string{"#/timeline", "#/functions", name("functions", "sqlite3_libversion_number", ""), name("code", "sqlite3_free", ""), name("code", "sqlite3_libversion_number", "&version=6&from=5"), collected, "#/graph", "#/memory", "#/counters"}
	for i, view := range all {
		b.open(view)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 400} {
				b.shape(width, scheme)
				if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s is %d pixels wide in a window of %d", view, wide, width)
				}
				b.shoot(fmt.Sprintf("%d-%s-%d", i, scheme, width))
			}
		}
	}
	pin.Release()
	b.noErrors()
}

// keyboard goes through a view with the tab key: every control gets the focus in the order of the document, and
// the focus is seen.
func keyboard(t *testing.T, b *browser) {
	t.Helper()
	b.open("#/memory")
	controls := eval[int](b, `document.body.focus(), document.querySelectorAll("a[href], button:not([hidden]), input, select, [tabindex='0']").length`)
	var seen []string
	for range controls {
		b.do(chromedp.KeyEvent(kb.Tab))
		at := eval[string](b, `(e => (getComputedStyle(e).outlineStyle === "none" ? "INVISIBLE " : "") + (e.getAttribute("aria-label") || e.textContent))(document.activeElement)`)
		if strings.HasPrefix(at, "INVISIBLE") {
			t.Errorf("the focus is not seen on %s", at)
		}
		seen = append(seen, at)
	}
	for _, want := range []string{"Skip to the view", "Timeline", "Functions", "Graph", "Memory", "Counters"} {
		if len(seen) == 0 || !slices.Contains(seen, want) {
			t.Errorf("the tab key does not come to %q: %q", want, seen)
		}
	}
	if last := seen[len(seen)-1]; !strings.HasPrefix(last, "data pool") {
		t.Errorf("the tab key comes last to %q", last)
	}
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	if told := eval[string](b, "document.querySelector('.view > .note').textContent"); !strings.HasPrefix(told, "0x") {
		t.Errorf("an arrow key in a pool tells %q", told)
	}
}

// TestStream has 1,000 transactions a second come for some seconds, with a reload of the page between:
// the page shows the last ones, and neither it nor the server grows. A timeline without bound
// (keptTransactions = 1<<20) fails it, and so does a page that keeps all (kept = 1e6 in events.js).
func TestStream(t *testing.T) {
	eng, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := eng.Add(context.Background(), livejit.IR("g", "define i64 @g() { ret i64 0 }")); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, serve(t, eng))
	b.open("#/timeline")
	const growth = 512 << 10 // bytes; 2,000 transactions are more on either side
	number := 1              // of the load, which nobody saw
	round := func(n int) {
		t.Helper()
		begin := time.Now()
		for i := range n {
			if err := eng.Invalidate("g"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Millisecond))) // who is late catches up
		}
		t.Logf("%.0f transactions a second", float64(n)/time.Since(begin).Seconds())
		number += n
		b.do(chromedp.Poll[chromedp.Void](fmt.Sprintf(`Number(document.querySelector(".timeline > li")?.dataset.number) === %d`, number)))
	}
	page := func() (bytes float64) {
		t.Helper()
		if _, err := chromedp.Call(b.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
		if n := eval[int](b, "document.querySelectorAll('.timeline > li').length"); n > 200 {
			t.Errorf("the page holds %d transactions", n)
		}
		return eval[float64](b, "performance.memory.usedJSHeapSize")
	}
	server := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round(1000)
	pageBefore, serverBefore := page(), server()
	round(2000)
	pageAfter, serverAfter := page(), server()
	t.Logf("the page has %.0f bytes and had %.0f, the server %d and %d", pageAfter, pageBefore, serverAfter, serverBefore)
	if pageAfter > pageBefore+growth {
		t.Error("the page has grown")
	}
	if serverAfter > serverBefore+growth {
		t.Error("the server has grown")
	}
	b.do(chromedp.Reload())
	b.do(chromedp.WaitReady(".view[data-ready]"))
	round(200)
	b.noErrors()
}
