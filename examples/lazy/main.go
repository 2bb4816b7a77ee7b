// Command lazy loads all of SQLite without compiling it: each function is compiled when it is first called. What an
// application never calls costs no code.
//
//	go run ./examples/lazy
//
// It opens a database in memory, runs one query in native code that it adds next to SQLite, and prints how many of the functions had
// to be compiled for that, and how long it took until the answer was there; then the same with everything compiled at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/csources"
)

const query = `
#include "sqlite3-binding.h"
int answer(void) {
	sqlite3 *db;
	sqlite3_stmt *statement;
	int n = -1;
	if (sqlite3_open(":memory:", &db)) return -1;
	if (!sqlite3_exec(db, "create table t(a); insert into t values (20), (22)", 0, 0, 0) &&
	    !sqlite3_prepare_v2(db, "select sum(a) from t", -1, &statement, 0)) {
		if (sqlite3_step(statement) == SQLITE_ROW) n = sqlite3_column_int(statement, 0);
		sqlite3_finalize(statement);
	}
	sqlite3_close(db);
	return n;
}
`

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "lazy: %+v\n", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	ctx := context.Background()
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		return err
	}
	front := clang.Options{Flags: []string{"-I" + dir}}
	sources := []livejit.Source{clang.File(filepath.Join(dir, "sqlite3-binding.c"), front), clang.Source("query.c", query, front)}
	for i := range sources { // clang's work is the same both ways
		if sources[i], err = sources[i].Generate(ctx); err != nil {
			return err
		}
	}
	for _, way := range []struct {
		name    string
		options []livejit.Option
	}{{"lazily", []livejit.Option{livejit.WithLazy()}}, {"all at once", nil}} {
		if err := once(ctx, out, way.name, sources, way.options...); err != nil {
			return err
		}
	}
	return nil
}

// once loads the sources and asks for the answer.
func once(ctx context.Context, out io.Writer, name string, sources []livejit.Source, options ...livejit.Option) (err error) {
	eng, err := livejit.New(options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	start := time.Now()
	if _, err := eng.Add(ctx, sources...); err != nil {
		return err
	}
	loaded := time.Since(start)
	got, err := eng.Call(ctx, "answer")
	if err != nil {
		return err
	}
	if got != int32(42) {
		return fmt.Errorf("the answer is %v", got)
	}
	s := eng.Stats()
	fmt.Fprintf(out, "%-12s %4d of %d functions compiled, loaded in %v, answer after %v\n", name+":", s.Functions-s.Pending, s.Functions,
		loaded.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	return nil
}
