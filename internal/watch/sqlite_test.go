package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"livejit/internal/csources"
)

// workload queries a database in memory; it returns how often something else came out than
// what was put in.
const workload = `
#include "sqlite3.h"
static sqlite3 *db;
int version(void) { return sqlite3_libversion_number(); }
int start(void) {
	return sqlite3_open(":memory:", &db) || sqlite3_exec(db, "create table t(a integer primary key, b text)", 0, 0, 0);
}
int work(int n) {
	sqlite3_stmt *s;
	int failed = 0;
	if (sqlite3_prepare_v2(db, "insert into t(b) values('row' || ?1)", -1, &s, 0)) return 1;
	sqlite3_bind_int(s, 1, n);
	failed += sqlite3_step(s) != SQLITE_DONE;
	failed += sqlite3_finalize(s) != SQLITE_OK;
	if (sqlite3_prepare_v2(db, "select count(*), max(a) from t where b like 'row%' group by b like 'r%' order by 1", -1, &s, 0)) return failed + 1;
	failed += sqlite3_step(s) != SQLITE_ROW || sqlite3_column_int(s, 0) != n || sqlite3_column_int(s, 1) != n;
	failed += sqlite3_finalize(s) != SQLITE_OK;
	return failed;
}
int stop(void) { return sqlite3_close(db); }
`

// TestSQLite edits one line of SQLite's amalgamation again and again while queries run. No
// query may fail, and each edit takes effect. LIVEJIT_WATCH_EDITS says how many edits (default 2).
func TestSQLite(t *testing.T) {
	edits := 2
	if n, err := strconv.Atoi(os.Getenv("LIVEJIT_WATCH_EDITS")); err == nil {
		edits = n
	}
	from, err := csources.Dir(csources.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &watched{t: t, dir: dir}
	read := func(names ...string) string {
		for _, n := range names {
			if text, err := os.ReadFile(filepath.Join(from, n)); err == nil {
				return string(text)
			}
		}
		t.Fatalf("none of %q in %s", names, from)
		return ""
	}
	text := read("sqlite3-binding.c", "sqlite3.c")
	p.put("sqlite3.h", read("sqlite3-binding.h", "sqlite3.h"))
	const body = "int sqlite3_libversion_number(void){ return SQLITE_VERSION_NUMBER; }"
	if strings.Count(text, body) != 1 {
		t.Fatal("SQLite has no sqlite3_libversion_number as expected")
	}
	p.put("sqlite3.c", text)
	p.put("work.c", workload)
	p = start(t, dir, "", "sqlite3.c", "work.c")
	p.said.take(t, "loaded\n")

	ctx := context.Background()
	call := func(name string, args ...any) int {
		got, err := p.eng.Call(ctx, name, args...)
		n, convErr := strconv.Atoi(fmt.Sprint(got))
		if err != nil || convErr != nil {
			t.Errorf("%s: %v, %v", name, got, err)
			return -1
		}
		return n
	}
	if call("start") != 0 {
		t.Fatal("the database was not opened")
	}
	var stop atomic.Bool
	queries, failed := 0, 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !stop.Load() && failed == 0 {
			queries++
			failed += call("work", int32(queries))
			time.Sleep(time.Millisecond) // leave the compiler a processor
		}
	}()
	var longest, sum time.Duration
	for i := range edits {
		begin := time.Now()
		p.put("sqlite3.c", strings.Replace(text, body, fmt.Sprintf("int sqlite3_libversion_number(void){ return %d; }", i), 1))
		for call("version") != i {
			if time.Since(begin) > 60*time.Second {
				t.Fatalf("edit %d has no effect; told: %s", i, p.said.text)
			}
			time.Sleep(time.Millisecond)
		}
		took := time.Since(begin)
		longest, sum = max(longest, took), sum+took
	}
	stop.Store(true)
	<-ended
	if failed != 0 {
		t.Errorf("%d of %d queries failed", failed, queries)
	}
	if call("stop") != 0 {
		t.Error("the database was not closed")
	}
	t.Logf("%d edits, %v on average from saving to effect, %v at most; %d queries meanwhile", edits, sum/time.Duration(max(edits, 1)), longest, queries)
	p.said.mu.Lock()
	t.Logf("%s", p.said.text)
	p.said.mu.Unlock()
}
