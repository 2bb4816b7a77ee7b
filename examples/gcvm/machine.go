package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"livejit"
)

// machine runs one program. It is for one goroutine.
type machine struct {
	eng *livejit.Engine
	out io.Writer

	heap      *heap
	permanent *arena   // symbols, string literals
	places    *arena   // values outside of the heap that the collector knows: global variables, quoted lists
	temps     []*value // values that Go functions hold while they allocate
	depth     int      // calls of compiled code under way
	broken    error    // of writing to out

	functions map[symbol]*function
	globals   map[symbol]uintptr // their places
	symbols   map[string]value
	names     []string // of symbols, by number
	texts     map[string]value
	shapes    [][]symbol
	caches    []*cache
	lookups   int
	lambdas   int
	evals     int
}

// arena is memory that only grows.
type arena struct {
	memory space
	used   uintptr
}

func newArena(bytes int) (*arena, error) {
	memory, err := mapMemory(bytes)
	return &arena{memory: memory}, err
}

func (a *arena) take(words int) value {
	v := a.memory.start() + value(a.used)
	a.used += 8 * uintptr(words)
	if a.used > uintptr(len(a.memory)) {
		panic(errors.New("no room for more constants and variables"))
	}
	return v
}

type options struct {
	stress   bool
	level    int
	heapSize int
}

func newMachine(out io.Writer, o options) (m *machine, err error) {
	m = &machine{out: out, functions: map[symbol]*function{}, globals: map[symbol]uintptr{}, symbols: map[string]value{}, texts: map[string]value{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.permanent, err = newArena(64 << 20); err != nil {
		return m, err
	}
	if m.places, err = newArena(8 << 20); err != nil {
		return m, err
	}
	f := (*frontier)(pointer(uintptr(m.permanent.take(2))))
	if m.heap, err = newHeap(f, o.stress, o.heapSize); err != nil {
		return m, err
	}
	m.heap.roots = m.roots
	if m.eng, err = livejit.New(livejit.WithStatepoints(), livejit.WithOptLevel(o.level)); err != nil {
		return m, err
	}
	m.heap.walk = m.eng.WalkStack
	return m, m.defineRuntime()
}

func (m *machine) close() error {
	var err error
	if m.eng != nil {
		err = m.eng.Close()
	}
	if m.heap != nil {
		m.heap.close()
	}
	for _, a := range []*arena{m.permanent, m.places} {
		if a != nil && a.memory != nil {
			a.memory.unmap()
		}
	}
	return err
}

// run evaluates all forms of a program.
func (m *machine) run(program string) error {
	forms, err := read(program)
	if err != nil {
		return err
	}
	for len(forms) > 0 {
		// Functions that follow each other are one transaction and may call each other.
		n := 0
		for n < len(forms) && isFunction(forms[n]) {
			n++
		}
		if n > 0 {
			err = m.defineFunctions(forms[:n])
		} else {
			n = 1
			_, err = m.evaluate(forms[0])
		}
		if err != nil {
			return err
		}
		forms = forms[n:]
	}
	return m.broken
}

// isFunction tells (define (name params...) body...).
func isFunction(f form) bool {
	l, ok := f.(list)
	if !ok || len(l) < 2 || l[0] != symbol("define") {
		return false
	}
	_, ok = l[1].(list)
	return ok
}

// evaluate does what a form says, and returns its value; that of a definition is its name.
func (m *machine) evaluate(f form) (value, error) {
	if isFunction(f) {
		if err := m.defineFunctions([]form{f}); err != nil {
			return null, err
		}
		return m.intern(string(f.(list)[1].(list)[0].(symbol))), nil
	}
	l, ok := f.(list)
	if !ok || len(l) == 0 || l[0] != symbol("define") {
		return m.expression(f)
	}
	if len(l) != 3 {
		return null, mistake("a definition of a variable takes a name and an expression")
	}
	name, ok := l[1].(symbol)
	if !ok {
		return null, mistake("%s is no name", show(l[1]))
	}
	if m.functions[name] != nil || primitives[name] != nil || specials[name] != nil {
		return null, mistake("%s is a function", name)
	}
	v, err := m.expression(l[2])
	if err != nil {
		return null, err
	}
	if _, known := m.globals[name]; !known {
		m.globals[name] = uintptr(m.places.take(1))
	}
	*(*value)(pointer(m.globals[name])) = v
	return m.intern(string(name)), nil
}

// defineFunctions compiles functions and makes them current, all at once or, after an error, none. Those that are running go on as they are; the next call of their
// name, from wherever, is one of the new version.
func (m *machine) defineFunctions(defs []form) error {
	var fresh []symbol
	forget := func(err error) error {
		for _, name := range fresh {
			delete(m.functions, name)
		}
		return err
	}
	for _, d := range defs {
		head := d.(list)[1].(list)
		if len(head) == 0 {
			return forget(mistake("a function without a name"))
		}
		name, ok := head[0].(symbol)
		if !ok {
			return forget(mistake("%s is no name of a function", show(head[0])))
		}
		_, variable := m.globals[name]
		switch old := m.functions[name]; {
		case variable || primitives[name] != nil || specials[name] != nil:
			return forget(mistake("%s is something else already", name))
		case old == nil:
			m.functions[name] = &function{name: string(name), params: len(head) - 1}
			fresh = append(fresh, name)
		case old.params != len(head)-1: // closures and callers have the number in their code
			return forget(mistake("%s has %d parameters, and cannot have %d", name, old.params, len(head)-1))
		}
	}
	var sources []livejit.Source
	for _, d := range defs {
		l := d.(list)
		head := l[1].(list)
		text, _, err := m.module(functionSymbol(string(head[0].(symbol))), head[1:], l[2:])
		if err != nil {
			return forget(fmt.Errorf("%s: %w", head[0], err))
		}
		sources = append(sources, livejit.IR(string(head[0].(symbol)), text))
	}
	if _, err := m.eng.Replace(context.Background(), sources...); err != nil {
		return forget(err)
	}
	return nil
}

// module is the LLVM IR of a function and the lambda expressions in it, and how many those are.
func (m *machine) module(symbol string, params list, body []form) (string, int, error) {
	c := &compiler{vm: m}
	f, err := c.function(symbol, params, body)
	if err != nil {
		return "", 0, err
	}
	e := newEmitter(m)
	for _, f := range append(c.lambdas, f) {
		e.function(f)
	}
	return e.String(), len(c.lambdas), nil
}

// lambdaName is new each time: closures of an old version of a function keep its code.
func (m *machine) lambdaName(outer string) string {
	m.lambdas++
	return fmt.Sprintf("%s.lambda%d", outer, m.lambdas)
}

// expression compiles an expression as a function that is called once. Its code goes, unless closures may have parts of it.
func (m *machine) expression(f form) (v value, err error) {
	m.evals++
	name := fmt.Sprintf("eval%d", m.evals)
	text, lambdas, err := m.module(name, nil, []form{f})
	if err != nil {
		return null, err
	}
	module, err := m.eng.Add(context.Background(), livejit.IR(name, text))
	if err != nil {
		return null, err
	}
	if lambdas == 0 {
		defer func() { err = errors.Join(err, module.Close()) }()
	}
	var run func(self uintptr) (uintptr, error)
	if err := m.eng.Bind(name, &run); err != nil {
		return null, err
	}
	held := len(m.temps)
	m.depth++
	result, err := run(0)
	m.depth--
	m.temps = m.temps[:held]
	return value(result), plainly(err)
}

// plainly takes the error of a Go function out of that of the call it has ended.
func plainly(err error) error {
	var panicked *livejit.PanicError
	if errors.As(err, &panicked) {
		if inner, ok := panicked.Value.(error); ok {
			return inner
		}
	}
	return err
}

// roots hands the collector every place that holds a value and is not in the heap.
func (m *machine) roots(walk walker, move func(uintptr) uintptr) error {
	if m.depth > 0 {
		if err := m.heap.frameRoots(walk, move); err != nil {
			return err
		}
	}
	for i := range m.places.used / 8 {
		w := m.places.memory.start().word(int(i))
		*w = word(move(uintptr(*w)))
	}
	for _, t := range m.temps {
		*t = value(move(uintptr(*t)))
	}
	return nil
}

// keep has the collector see to values that a Go function holds, until the function that it returns is called.
func (m *machine) keep(values ...*value) (drop func()) {
	n := len(m.temps)
	m.temps = append(m.temps, values...)
	return func() { m.temps = m.temps[:n] }
}

// object returns a new object whose words are 0.
func (m *machine) object(h word) value {
	o := m.heap.alloc(8 * (wordsOf(h) + 1))
	*o.word(0) = h
	for i := range wordsOf(h) {
		*o.word(i + 1) = 0
	}
	return o
}

func (m *machine) cons(car, cdr value) value {
	defer m.keep(&car, &cdr)()
	o := m.object(header(pairKind, 2))
	*o.word(1), *o.word(2) = word(car), word(cdr)
	return o
}

func textWords(n int) int { return 1 + (n+7)/8 }

// fillText makes a string of an object's words.
func fillText(o value, s string) value {
	*o.word(0), *o.word(1) = header(textKind, textWords(len(s))), word(len(s))
	copy(bytesAt(uintptr(o)+16, len(s)), s)
	return o
}

func (m *machine) newText(s string) value {
	return fillText(m.object(header(textKind, textWords(len(s)))), s)
}

// textOf copies a string out of the heap.
func textOf(v value) string {
	if !v.is(textKind) {
		panic(mistake("%s is no string", brief(v)))
	}
	return string(bytesAt(uintptr(v)+16, int(*v.word(1))))
}

func (m *machine) permanentText(s string) value {
	v, ok := m.texts[s]
	if !ok {
		v = fillText(m.permanent.take(1+textWords(len(s))), s)
		m.texts[s] = v
	}
	return v
}

func (m *machine) intern(name string) value {
	v, ok := m.symbols[name]
	if !ok {
		v = m.permanent.take(2)
		*v.word(0), *v.word(1) = header(symbolKind, 1), word(len(m.names))
		m.symbols[name] = v
		m.names = append(m.names, name)
	}
	return v
}

func (m *machine) symbolName(v value) string { return m.names[*v.word(1)] }

// atom is the value of a form that is no list with elements.
func (m *machine) atom(f form) value {
	switch f := f.(type) {
	case int64:
		return fixnum(f)
	case text:
		return m.permanentText(string(f))
	case symbol:
		if f == "nil" {
			return null
		}
		return m.intern(string(f))
	}
	return null
}

// constant makes a list in the heap and returns the place that leads to it.
func (m *machine) constant(l list) uintptr {
	at := m.places.take(1)
	*at.word(0) = word(m.build(l))
	return uintptr(at)
}

func (m *machine) build(f form) value {
	l, ok := f.(list)
	if !ok {
		return m.atom(f)
	}
	v := null
	defer m.keep(&v)()
	for i := len(l) - 1; i >= 0; i-- {
		v = m.cons(m.build(l[i]), v)
	}
	return v
}

// form is the other way round: source text out of the heap.
func (m *machine) form(v value) form {
	switch {
	case v.isFixnum():
		return v.number()
	case v.is(textKind):
		return text(textOf(v))
	case v.is(symbolKind):
		return symbol(m.symbolName(v))
	case v == null:
		return list{}
	case !v.is(pairKind):
		panic(mistake("%s is no form", brief(v)))
	}
	l := list{}
	for ; v.is(pairKind); v = value(*v.word(2)) {
		l = append(l, m.form(value(*v.word(1))))
	}
	return l
}

// brief shows a value for a message, without following it.
func brief(v value) string {
	switch {
	case v.isFixnum():
		return fmt.Sprint(v.number())
	case v == null:
		return "nil"
	case v.is(textKind):
		return fmt.Sprintf("%q", textOf(v))
	}
	return map[kind]string{pairKind: "a pair", vectorKind: "a vector", closureKind: "a function", symbolKind: "a symbol", recordKind: "a record"}[kindOf(*v.word(0))]
}

// display writes a value for people.
func (m *machine) display(b *strings.Builder, v value) {
	switch {
	case v.is(textKind):
		b.WriteString(textOf(v))
	case v.is(symbolKind):
		b.WriteString(m.symbolName(v))
	case v.is(closureKind):
		b.WriteString("#<function>")
	case v.is(vectorKind):
		b.WriteByte('#')
		m.displayAll(b, wordsOf(*v.word(0)), func(i int) value { return value(*v.word(i + 1)) })
	case v.is(recordKind):
		fields := m.shapes[*v.word(1)]
		b.WriteByte('#')
		m.displayAll(b, 2*len(fields), func(i int) value {
			if i%2 == 0 {
				return m.intern(string(fields[i/2]))
			}
			return value(*v.word(firstField + i/2))
		})
	case v.is(pairKind):
		var elements []value
		for ; v.is(pairKind); v = value(*v.word(2)) {
			elements = append(elements, value(*v.word(1)))
		}
		if v != null { // what the last pair ends with
			elements = append(elements, m.intern("."), v)
		}
		m.displayAll(b, len(elements), func(i int) value { return elements[i] })
	default:
		b.WriteString(brief(v))
	}
}

func (m *machine) displayAll(b *strings.Builder, n int, element func(int) value) {
	b.WriteByte('(')
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		m.display(b, element(i))
	}
	b.WriteByte(')')
}
