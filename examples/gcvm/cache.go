package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"livejit"
)

// Records have a shape: the names of their fields, in order. Where a field is in a record is found by an inline cache at each place in the code that asks: a patchpoint that
// calls a small function of the shapes that have been seen there. For a new one a Go function looks it up, and gives that function a new version.

// shape returns the number of the shape with these fields.
func (m *machine) shape(fields []symbol) int {
	n := slices.IndexFunc(m.shapes, func(s []symbol) bool { return slices.Equal(s, fields) })
	if n < 0 {
		n = len(m.shapes)
		m.shapes = append(m.shapes, fields)
	}
	return n
}

// cache is what is known at one place. Its number is the patchpoint's.
type cache struct {
	field  symbol
	shapes []int
}

const (
	noCache    = "cache.none" // knows nothing
	cacheSize  = 8            // shapes of a place; others are looked up each time
	firstField = 2            // words before the fields: header and shape
)

const noCacheText = `define i64 @"` + noCache + `"(i64 %shape) ` + leaf + ` { ret i64 0 }`

func (m *machine) newCache(field symbol) int {
	m.caches = append(m.caches, &cache{field: field})
	return len(m.caches) - 1
}

// lookup finds a field of a record that the cache of a place does not know, and has it know. It is called by compiled code, which waits meanwhile; nothing moves.
func (m *machine) lookup(place, shape int64) int64 {
	c := m.caches[place]
	m.lookups++
	at := slices.Index(m.shapes[shape], c.field)
	if at < 0 {
		panic(mistake("a record with the fields %v has no field %s", m.shapes[shape], c.field))
	}
	if len(c.shapes) < cacheSize {
		c.shapes = append(c.shapes, int(shape))
		if err := m.teach(uint64(place), c); err != nil {
			panic(err)
		}
	}
	return int64(firstField + at)
}

// teach gives a place the function of its shapes.
func (m *machine) teach(place uint64, c *cache) error {
	var b strings.Builder
	name := fmt.Sprintf("cache.%d", place)
	fmt.Fprintf(&b, "define i64 %s(i64 %%shape) %s {\n", quoted(name), leaf)
	found := "0"
	for i, shape := range c.shapes {
		fmt.Fprintf(&b, "  %%is%d = icmp eq i64 %%shape, %d\n", i, shape)
		fmt.Fprintf(&b, "  %%at%d = select i1 %%is%d, i64 %d, i64 %s\n", i, i, firstField+slices.Index(m.shapes[shape], c.field), found)
		found = fmt.Sprintf("%%at%d", i)
	}
	fmt.Fprintf(&b, "  ret i64 %s\n}\n", found)
	if _, err := m.eng.Replace(context.Background(), livejit.IR(name, b.String())); err != nil {
		return err
	}
	for _, p := range m.eng.Patchpoints(place) { // LLVM may have copied the place
		if err := p.SetTarget(name); err != nil {
			return err
		}
	}
	return nil
}

func (e *emitter) record(n record) string {
	values := e.values(n.fields)
	o := e.object(header(recordKind, 1+len(values)))
	e.storeWord(o, 1, fmt.Sprint(n.shape))
	for i, v := range values {
		e.store(o, firstField+i, v)
	}
	return o
}

func (e *emitter) access(n access) string {
	of, to := e.value(n.of), ""
	if n.to != nil {
		to = e.value(n.to)
	}
	e.require(of, recordKind, noRecord)
	shape := e.set("load i64, %s %s", valueType, e.set("getelementptr i64, %s %s, i64 1", valueType, of))
	place := e.vm.newCache(n.field)
	e.declarations["llvm.patchpoint"] = "declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)\n"
	e.declarations[noCache] = fmt.Sprintf("declare i64 %s(i64)\n", quoted(noCache))
	e.declarations["rt.lookup"] = fmt.Sprintf("declare i64 @rt.lookup(i64, i64) %s cold\n", leaf)
	cached := e.set("call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 %d, i32 13, ptr %s, i32 1, i64 %s)", place, quoted(noCache), shape)
	known, unknown, done := e.block, e.label(), e.label()
	e.split(e.set("icmp eq i64 %s, 0", cached), unknown, done)
	e.begin(unknown)
	found := e.set("call i64 @rt.lookup(i64 %d, i64 %s)", place, shape)
	e.jump(done)
	e.begin(done)
	at := e.set("phi i64 [%s, %%%s], [%s, %%%s]", cached, known, found, unknown)
	field := e.set("getelementptr i64, %s %s, i64 %s", valueType, of, at)
	if n.to == nil {
		return e.set("load %s, %s %s", valueType, valueType, field)
	}
	e.line("store %s %s, %s %s", valueType, to, valueType, field)
	return to
}
