// Command query compiles each query of a small table to native code, keeps the queries used last, and lets the others
// go: what a database does that compiles its queries. Each query is a module of its own; closing it gives back everything.
//
//	go run ./examples/query
//
// It runs many queries over a table in Go's memory, checks every result against the plain Go way, and prints how long a query
// takes to compile and to run, and what the engine holds in the middle and at the end.
package main

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unsafe"

	"livejit"
)

func main() {
	if err := run(os.Stdout, 2000, 100_000); err != nil {
		fmt.Fprintf(os.Stderr, "query: %+v\n", err)
		os.Exit(1)
	}
}

// term is one condition: column < limit, or column >= limit.
type term struct {
	column int
	less   bool
	limit  int64
}

// query sums a column of the rows for which all terms hold.
type query struct {
	sum   int
	where []term
}

func (q query) String() string {
	var terms []string
	for _, t := range q.where {
		op := ">="
		if t.less {
			op = "<"
		}
		terms = append(terms, fmt.Sprintf("c%d %s %d", t.column, op, t.limit))
	}
	return fmt.Sprintf("select sum(c%d) where %s", q.sum, strings.Join(terms, " and "))
}

// ir is the query as a function of a pointer to the columns and the number of rows. Constants of the query are constants of the code.
func (q query) ir() string {
	var b strings.Builder
	b.WriteString(`define i64 @query(ptr %columns, i64 %rows) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %more ]
  %sum = phi i64 [ 0, %entry ], [ %after, %more ]
  %done = icmp eq i64 %i, %rows
  br i1 %done, label %end, label %row
row:
`)
	load := func(name string, column int) {
		fmt.Fprintf(&b, "  %%%[1]s.p = getelementptr ptr, ptr %%columns, i64 %[2]d\n  %%%[1]s.c = load ptr, ptr %%%[1]s.p\n", name, column)
		fmt.Fprintf(&b, "  %%%[1]s.a = getelementptr i64, ptr %%%[1]s.c, i64 %%i\n  %%%[1]s = load i64, ptr %%%[1]s.a\n", name)
	}
	holds := "true"
	for n, t := range q.where {
		compare := "sge"
		if t.less {
			compare = "slt"
		}
		load(fmt.Sprintf("v%d", n), t.column)
		fmt.Fprintf(&b, "  %%t%[1]d = icmp %[2]s i64 %%v%[1]d, %[3]d\n  %%all%[1]d = and i1 %[4]s, %%t%[1]d\n", n, compare, t.limit, holds)
		holds = fmt.Sprintf("%%all%d", n)
	}
	load("s", q.sum)
	fmt.Fprintf(&b, `  %%add = select i1 %s, i64 %%s, i64 0
  %%after = add i64 %%sum, %%add
  br label %%more
more:
  %%next = add i64 %%i, 1
  br label %%loop
end:
  ret i64 %%sum
}
`, holds)
	return b.String()
}

// plain is what the query means.
func (q query) plain(columns [][]int64) (sum int64) {
	for i := range columns[0] {
		holds := true
		for _, t := range q.where {
			holds = holds && (columns[t.column][i] < t.limit) == t.less
		}
		if holds {
			sum += columns[q.sum][i]
		}
	}
	return sum
}

// compiled is a query in native code. Its name in the engine is local to its module, so that all can be called "query".
type compiled struct {
	text   string
	module *livejit.Module
	run    func(columns unsafe.Pointer, rows int64) (int64, error)
}

// cache keeps the queries used last.
type cache struct {
	engine   *livejit.Engine
	room     int
	recent   *list.List // of *compiled, the one used last in front
	byText   map[string]*list.Element
	compiles int
	spent    time.Duration
}

// get returns the query in native code, compiling it if it is not there, and closes what has not been used for longest.
func (c *cache) get(ctx context.Context, q query) (*compiled, error) {
	text := q.String()
	if e := c.byText[text]; e != nil {
		c.recent.MoveToFront(e)
		return e.Value.(*compiled), nil
	}
	start := time.Now()
	// Internal linkage makes the name the module's own.
	m, err := c.engine.Add(ctx, livejit.IR(text, strings.Replace(q.ir(), "define i64", "define internal i64", 1)))
	if err != nil {
		return nil, err
	}
	n := &compiled{text: text, module: m}
	if err := m.Function("query").Bind(&n.run); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	c.compiles++
	c.spent += time.Since(start)
	c.byText[text] = c.recent.PushFront(n)
	if c.recent.Len() <= c.room {
		return n, nil
	}
	oldest := c.recent.Remove(c.recent.Back()).(*compiled)
	delete(c.byText, oldest.text)
	return n, oldest.module.Close()
}

func run(out io.Writer, queries, rows int) (err error) {
	ctx := context.Background()
	eng, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()

	columns := make([][]int64, 4)
	for c := range columns {
		columns[c] = make([]int64, rows)
		for i := range columns[c] {
			columns[c][i] = int64((i*7919 + c*104729) % 1000)
		}
	}
	// Native code gets the addresses of the columns, which Go must keep in place for the time of a call; so they are in memory of the engine's
	// process that the collector does not move: heap objects that this function refers to.
	pointers := make([]unsafe.Pointer, len(columns))
	for i := range columns {
		pointers[i] = unsafe.Pointer(unsafe.SliceData(columns[i]))
	}

	c := &cache{engine: eng, room: 16, recent: list.New(), byText: map[string]*list.Element{}}
	var running, plain time.Duration
	for n := range queries {
		q := query{sum: n % 4, where: []term{{n % 3, n%2 == 0, int64(n * 37 % 1000)}, {(n + 1) % 4, n%5 == 0, int64(n * 11 % 1000)}}}
		if n%4 != 0 { // most queries were asked lately
			q = query{sum: 1, where: []term{{n % 4, true, 500}, {2, false, int64(n % 3 * 100)}}}
		}
		f, err := c.get(ctx, q)
		if err != nil {
			return err
		}
		start := time.Now()
		got, err := f.run(unsafe.Pointer(unsafe.SliceData(pointers)), int64(rows))
		running += time.Since(start)
		if err != nil {
			return err
		}
		start = time.Now()
		want := q.plain(columns)
		plain += time.Since(start)
		if got != want {
			return fmt.Errorf("%s: %d, want %d", q, got, want)
		}
		if n == queries/2 || n == queries-1 {
			if err := eng.Quiesce(ctx); err != nil {
				return err
			}
			s := eng.Stats()
			fmt.Fprintf(out, "after %d queries: %d compiled in all, %d modules and %d bytes of code are loaded\n", n+1, c.compiles, s.Modules, s.Memory["code"].Bytes)
		}
	}
	fmt.Fprintf(out, "compiling one: %v; running one: %v; the same in plain Go: %v\n", (c.spent / time.Duration(c.compiles)).Round(time.Microsecond),
		(running / time.Duration(queries)).Round(time.Microsecond), (plain / time.Duration(queries)).Round(time.Microsecond))
	return nil
}
