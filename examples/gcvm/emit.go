package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Values are pointers of address space 1, by which LLVM knows what a collection may change. Numbers are such pointers, too: odd ones, which the collector leaves alone.
// A function has as its first parameter the closure it is called as (null if it is called by its name), so that functions and closures are called alike.
const valueType = "ptr addrspace(1)"

func operand(v value) string {
	if v == null {
		return "null"
	}
	return fmt.Sprintf("inttoptr (i64 %d to %s)", int64(v), valueType)
}

func place(address uintptr) string { return fmt.Sprintf("inttoptr (i64 %d to ptr)", address) }

func quoted(name string) string {
	return `@"` + strings.NewReplacer(`\`, `\5C`, `"`, `\22`).Replace(name) + `"`
}

func functionSymbol(name string) string { return "lisp." + name }

// emitter writes one module: a function and the lambda expressions in it.
type emitter struct {
	module       strings.Builder
	declarations map[string]string // by symbol
	defined      map[string]bool
	vm           *machine
	frontier     uintptr
	truth        string // the symbol t

	code    *code
	entry   strings.Builder // variables
	text    strings.Builder // of the blocks
	vars    map[*variable]string
	n       int
	block   string // the one that is being written
	stopped bool   // it has its last instruction
}

func newEmitter(m *machine) *emitter {
	return &emitter{declarations: map[string]string{}, defined: map[string]bool{}, vm: m, frontier: m.heap.frontierAddress(), truth: operand(m.intern("t"))}
}

func (e *emitter) fresh() string { e.n++; return fmt.Sprintf("%%v%d", e.n) }

func (e *emitter) line(format string, a ...any) { fmt.Fprintf(&e.text, "  "+format+"\n", a...) }

// set writes an instruction with a result.
func (e *emitter) set(format string, a ...any) string {
	r := e.fresh()
	e.line("%s = "+format, append([]any{r}, a...)...)
	return r
}

func (e *emitter) label() string { e.n++; return fmt.Sprintf("b%d", e.n) }

func (e *emitter) begin(label string) {
	fmt.Fprintf(&e.text, "%s:\n", label)
	e.block, e.stopped = label, false
}

func (e *emitter) jump(label string) {
	if !e.stopped {
		e.line("br label %%%s", label)
	}
	e.stopped = true
}

func (e *emitter) split(test, yes, no string) {
	e.line("br i1 %s, label %%%s, label %%%s", test, yes, no)
	e.stopped = true
}

// variable makes room in the frame. At the entry, so that LLVM makes values of such variables: the collector does not look into memory of the frame.
func (e *emitter) variable() string {
	r := e.fresh()
	fmt.Fprintf(&e.entry, "  %s = alloca %s\n", r, valueType)
	return r
}

func (e *emitter) function(c *code) {
	e.code, e.vars, e.n = c, map[*variable]string{}, 0
	e.entry.Reset()
	e.text.Reset()
	params := []string{valueType + " %self"}
	for i := range c.params {
		params = append(params, fmt.Sprintf("%s %%p%d", valueType, i))
	}
	e.begin("start")
	for i, v := range c.free {
		e.vars[v] = e.variable()
		e.line("store %s %s, ptr %s", valueType, e.field("%self", 3+i), e.vars[v])
	}
	for i, v := range c.params {
		e.declare(v, fmt.Sprintf("%%p%d", i))
	}
	e.tail(c.body)
	e.defined[c.symbol] = true
	fmt.Fprintf(&e.module, "define %s %s(%s) gc \"statepoint-example\" {\n%s  br label %%start\n%s}\n", valueType, quoted(c.symbol), strings.Join(params, ", "),
		e.entry.String(), e.text.String())
}

// String is the module.
func (e *emitter) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.declarations)) {
		if !e.defined[name] {
			b.WriteString(e.declarations[name])
		}
	}
	return b.String() + e.module.String()
}

// declare gives a variable its place and value.
func (e *emitter) declare(v *variable, init string) {
	if e.vars[v] == "" {
		e.vars[v] = e.variable()
	}
	if v.boxed() {
		box := e.object(header(boxKind, 1))
		e.store(box, 1, init)
		init = box
	}
	e.line("store %s %s, ptr %s", valueType, init, e.vars[v])
}

func (e *emitter) field(o string, i int) string {
	p := e.set("getelementptr i64, %s %s, i64 %d", valueType, o, i)
	return e.set("load %s, %s %s", valueType, valueType, p)
}

func (e *emitter) store(o string, i int, v string) {
	p := e.set("getelementptr i64, %s %s, i64 %d", valueType, o, i)
	e.line("store %s %s, %s %s", valueType, v, valueType, p)
}

func (e *emitter) storeWord(o string, i int, w string) {
	p := e.set("getelementptr i64, %s %s, i64 %d", valueType, o, i)
	e.line("store i64 %s, %s %s", w, valueType, p)
}

// object allocates: a step of the free pointer, or a call that may move everything. Its fields must be stored before the next allocation.
func (e *emitter) object(h word) string {
	bytes := 8 * (wordsOf(h) + 1)
	quick, slow, done := e.label(), e.label(), e.label()
	free := e.set("load %s, ptr %s", valueType, place(e.frontier))
	limit := e.set("load %s, ptr %s", valueType, place(e.frontier+8))
	next := e.set("getelementptr i8, %s %s, i64 %d", valueType, free, bytes)
	e.split(e.set("icmp ule %s %s, %s", valueType, next, limit), quick, slow)
	e.begin(slow)
	moved := e.runtime("allocate", "", fmt.Sprintf("i64 %d", bytes))
	e.jump(done)
	e.begin(quick)
	e.line("store %s %s, ptr %s", valueType, next, place(e.frontier))
	e.jump(done)
	e.begin(done)
	o := e.set("phi %s [%s, %%%s], [%s, %%%s]", valueType, moved, slow, free, quick)
	e.storeWord(o, 0, fmt.Sprint(int64(h)))
	return o
}

// runtime calls a Go function. args are with their types.
func (e *emitter) runtime(name, attributes string, args ...string) string {
	types := make([]string, len(args))
	for i, a := range args {
		types[i] = valueType
		if strings.HasPrefix(a, "i64 ") {
			types[i] = "i64"
		}
	}
	symbol := "rt." + name
	e.declarations[symbol] = fmt.Sprintf("declare %s %s(%s) %s\n", valueType, quoted(symbol), strings.Join(types, ", "), attributes)
	return e.set("call %s %s(%s)", valueType, quoted(symbol), strings.Join(args, ", "))
}

const leaf = `"gc-leaf-function"` // no collection can happen in it

func typed(values []string) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = valueType + " " + v
	}
	return list
}

// complain ends the program with complaint number n about v.
func (e *emitter) complain(n complaint, v string) {
	e.runtime("complain", leaf+" cold", fmt.Sprintf("i64 %d", n), valueType+" "+v)
	e.line("unreachable")
	e.stopped = true
}

// unless complains about v if test is not so.
func (e *emitter) unless(test string, n complaint, v string) {
	good, bad := e.label(), e.label()
	e.split(test, good, bad)
	e.begin(bad)
	e.complain(n, v)
	e.begin(good)
}

func (e *emitter) bits(v string) string { return e.set("ptrtoint %s %s to i64", valueType, v) }

func (e *emitter) unbits(i string) string { return e.set("inttoptr i64 %s to %s", i, valueType) }

func (e *emitter) isNumber(v string) string { return e.set("trunc i64 %s to i1", e.bits(v)) }

// require returns the header of v, which must be an object of that kind.
func (e *emitter) require(v string, k kind, n complaint) string {
	object, good, bad := e.label(), e.label(), e.label()
	other := e.set("or i1 %s, %s", e.isNumber(v), e.set("icmp eq %s %s, null", valueType, v))
	e.split(other, bad, object)
	e.begin(object)
	h := e.set("load i64, %s %s", valueType, v)
	e.split(e.set("icmp eq i16 %s, %d", e.set("trunc i64 %s to i16", h), k), good, bad)
	e.begin(bad)
	e.complain(n, v)
	e.begin(good)
	return h
}

// isKind is the test whether v is an object of that kind.
func (e *emitter) isKind(v string, k kind) string {
	object, done := e.label(), e.label()
	other := e.set("or i1 %s, %s", e.isNumber(v), e.set("icmp eq %s %s, null", valueType, v))
	from := e.block
	e.split(other, done, object)
	e.begin(object)
	h := e.set("load i64, %s %s", valueType, v)
	is := e.set("icmp eq i16 %s, %d", e.set("trunc i64 %s to i16", h), k)
	e.jump(done)
	e.begin(done)
	return e.set("phi i1 [false, %%%s], [%s, %%%s]", from, is, object)
}

// value writes the code of n and returns its value.
func (e *emitter) value(n node) string {
	switch n := n.(type) {
	case constant:
		return operand(n.v)
	case local:
		v := e.set("load %s, ptr %s", valueType, e.vars[n.v])
		if n.v.boxed() {
			v = e.field(v, 1)
		}
		return v
	case global:
		return e.set("load %s, ptr %s", valueType, place(n.slot))
	case fnValue:
		return e.closure(functionSymbol(n.f.name), n.f.params, nil)
	case assign:
		return e.assign(n)
	case branch:
		return e.branch(n)
	case sequence:
		for _, x := range n[:len(n)-1] {
			e.value(x)
		}
		return e.value(n[len(n)-1])
	case loop:
		e.loop(n)
		return "null"
	case binding:
		e.bind(n)
		return e.value(n.body)
	case closure:
		var captured []string
		for _, v := range n.code.free {
			captured = append(captured, e.set("load %s, ptr %s", valueType, e.vars[v])) // a box as such
		}
		return e.closure(n.code.symbol, len(n.code.params), captured)
	case call:
		callee, args := e.callee(n)
		return e.set("call %s %s(%s)", valueType, callee, strings.Join(args, ", "))
	case record:
		return e.record(n)
	case access:
		return e.access(n)
	case operation:
		args := e.values(n.args)
		switch {
		case n.p.value != nil:
			return n.p.value(e, args)
		case n.p.test != nil:
			return e.set("select i1 %s, %s %s, %s null", n.p.test(e, args), valueType, e.truth, valueType)
		}
		attributes := ""
		if n.p.leaf {
			attributes = leaf
		}
		return e.runtime(n.p.name, attributes, typed(args)...)
	}
	panic(fmt.Sprintf("BUG: node %T", n))
}

func (e *emitter) values(nodes []node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = e.value(n)
	}
	return list
}

func (e *emitter) bind(n binding) {
	for i, v := range e.values(n.inits) {
		e.declare(n.vars[i], v)
	}
}

func (e *emitter) assign(n assign) string {
	v := e.value(n.to)
	switch {
	case n.v == nil:
		e.line("store %s %s, ptr %s", valueType, v, place(n.slot))
	case n.v.boxed():
		e.store(e.set("load %s, ptr %s", valueType, e.vars[n.v]), 1, v)
	default:
		e.line("store %s %s, ptr %s", valueType, v, e.vars[n.v])
	}
	return v
}

// test is the value of n as a condition.
func (e *emitter) test(n node) string {
	if n, ok := n.(operation); ok && n.p.test != nil {
		return n.p.test(e, e.values(n.args))
	}
	return e.set("icmp ne %s %s, null", valueType, e.value(n))
}

func (e *emitter) branch(n branch) string {
	yes, no, done := e.label(), e.label(), e.label()
	result := e.variable()
	e.split(e.test(n.test), yes, no)
	for _, way := range []struct {
		label string
		n     node
	}{{yes, n.then}, {no, n.otherwise}} {
		e.begin(way.label)
		e.line("store %s %s, ptr %s", valueType, e.value(way.n), result)
		e.jump(done)
	}
	e.begin(done)
	return e.set("load %s, ptr %s", valueType, result)
}

func (e *emitter) loop(n loop) {
	again, body, done := e.label(), e.label(), e.label()
	e.jump(again)
	e.begin(again)
	e.split(e.test(n.test), body, done)
	e.begin(body)
	e.value(n.body)
	e.jump(again)
	e.begin(done)
}

func (e *emitter) closure(symbol string, params int, captured []string) string {
	e.mention(symbol, params)
	o := e.object(header(closureKind, 2+len(captured)))
	e.line("store ptr %s, %s %s", quoted(symbol), valueType, e.set("getelementptr i64, %s %s, i64 1", valueType, o))
	e.storeWord(o, 2, fmt.Sprint(params))
	for i, v := range captured {
		e.store(o, 3+i, v)
	}
	return o
}

func (e *emitter) mention(symbol string, params int) {
	types := strings.TrimSuffix(strings.Repeat(valueType+", ", params+1), ", ")
	e.declarations[symbol] = fmt.Sprintf("declare %s %s(%s)\n", valueType, quoted(symbol), types)
}

// callee writes the code up to a call.
func (e *emitter) callee(n call) (callee string, args []string) {
	if n.f != nil {
		symbol := functionSymbol(n.f.name)
		e.mention(symbol, n.f.params)
		return quoted(symbol), append([]string{valueType + " null"}, typed(e.values(n.args))...)
	}
	values := e.values(append([]node{n.fn}, n.args...))
	f := values[0]
	e.require(f, closureKind, noFunction)
	params := e.set("load i64, %s %s", valueType, e.set("getelementptr i64, %s %s, i64 2", valueType, f))
	e.unless(e.set("icmp eq i64 %s, %d", params, len(n.args)), wrongCount, f)
	code := e.set("load ptr, %s %s", valueType, e.set("getelementptr i64, %s %s, i64 1", valueType, f))
	return code, typed(values)
}

// tail writes the code of n in a place whose value is the function's. Calls of functions with as many parameters leave no frame behind, so that loops can be written so.
func (e *emitter) tail(n node) {
	switch n := n.(type) {
	case branch:
		yes, no := e.label(), e.label()
		e.split(e.test(n.test), yes, no)
		e.begin(yes)
		e.tail(n.then)
		e.begin(no)
		e.tail(n.otherwise)
		return
	case sequence:
		for _, x := range n[:len(n)-1] {
			e.value(x)
		}
		e.tail(n[len(n)-1])
		return
	case binding:
		e.bind(n)
		e.tail(n.body)
		return
	case call:
		callee, args := e.callee(n)
		kind := "call"
		if len(n.args) == len(e.code.params) {
			kind = "musttail call"
		}
		e.line("ret %s %s", valueType, e.set("%s %s %s(%s)", kind, valueType, callee, strings.Join(args, ", ")))
	default:
		e.line("ret %s %s", valueType, e.value(n))
	}
	e.stopped = true
}
