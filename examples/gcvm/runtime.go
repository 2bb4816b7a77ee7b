package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"livejit"
)

// runtimeFunctions are the primitives that Go does. A panic with an error ends the program.
var runtimeFunctions = []*primitive{
	{name: "display", params: 1, leaf: true, do: func(m *machine, a []value) value {
		var b strings.Builder
		m.display(&b, a[0])
		m.write(b.String())
		return a[0]
	}},
	{name: "newline", params: 0, leaf: true, do: func(m *machine, a []value) value { m.write("\n"); return null }},
	{name: "error", params: 1, leaf: true, do: func(m *machine, a []value) value {
		var b strings.Builder
		m.display(&b, a[0])
		panic(mistake("%s", b.String()))
	}},
	{name: "string=?", params: 2, leaf: true, do: func(m *machine, a []value) value {
		if textOf(a[0]) == textOf(a[1]) {
			return m.intern("t")
		}
		return null
	}},
	{name: "string-append", params: 2, do: func(m *machine, a []value) value { return m.newText(textOf(a[0]) + textOf(a[1])) }},
	{name: "substring", params: 3, do: func(m *machine, a []value) value {
		s := textOf(a[0])
		from, to := number(a[1]), number(a[2])
		if from < 0 || to < from || to > int64(len(s)) {
			panic(mistake("no part from %d to %d of a string of %d bytes", from, to, len(s)))
		}
		return m.newText(s[from:to])
	}},
	{name: "number->string", params: 1, do: func(m *machine, a []value) value { return m.newText(strconv.FormatInt(number(a[0]), 10)) }},
	{name: "symbol->string", params: 1, leaf: true, do: func(m *machine, a []value) value {
		if !a[0].is(symbolKind) {
			panic(mistake("%s is no symbol", brief(a[0])))
		}
		return m.permanentText(m.symbolName(a[0]))
	}},
	{name: "make-vector", params: 2, do: func(m *machine, a []value) value {
		n := number(a[0])
		if n < 0 || n > 1<<28 {
			panic(mistake("no vector can have %d elements", n))
		}
		defer m.keep(&a[1])()
		o := m.object(header(vectorKind, int(n)))
		for i := range int(n) {
			*o.word(i + 1) = word(a[1])
		}
		return o
	}},
	{name: "collect", params: 0, do: func(m *machine, a []value) value { m.heap.collect(m.heap.walk); return null }},
	{name: "eval", params: 1, do: func(m *machine, a []value) value {
		v, err := m.evaluate(m.form(a[0]))
		if err != nil {
			panic(err)
		}
		return v
	}},
}

func number(v value) int64 {
	if !v.isFixnum() {
		panic(mistake("%s is no number", brief(v)))
	}
	return v.number()
}

func (m *machine) write(s string) {
	if _, err := m.out.Write([]byte(s)); err != nil && m.broken == nil {
		m.broken = err
	}
}

// defineRuntime gives the Go functions to compiled code. Words are passed as integers: a Go pointer must not be a number.
func (m *machine) defineRuntime() error {
	for _, p := range runtimeFunctions {
		call := func(a ...int64) int64 {
			values := make([]value, len(a))
			for i, x := range a {
				values[i] = value(x)
			}
			return int64(p.do(m, values))
		}
		var fn any
		switch p.params {
		case 0:
			fn = func() int64 { return call() }
		case 1:
			fn = func(x int64) int64 { return call(x) }
		case 2:
			fn = func(x, y int64) int64 { return call(x, y) }
		case 3:
			fn = func(x, y, z int64) int64 { return call(x, y, z) }
		}
		if err := m.eng.Define("rt."+p.name, fn); err != nil {
			return err
		}
	}
	if _, err := m.eng.Add(context.Background(), livejit.IR(noCache, noCacheText)); err != nil {
		return err
	}
	if err := m.eng.Define("rt.lookup", m.lookup); err != nil {
		return err
	}
	complain := func(n, v int64) int64 { panic(mistake(complaints[n], brief(value(v)))) }
	if err := m.eng.Define("rt.complain", complain); err != nil {
		return fmt.Errorf("define complain: %w", err)
	}
	return m.eng.Define("rt.allocate", func(bytes int64) int64 { return int64(m.heap.alloc(int(bytes))) })
}
