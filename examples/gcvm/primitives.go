package main

import "fmt"

// primitive is a function of the language that needs no code of its own: it is written in place, or a Go function does it.
type primitive struct {
	name   string
	params int

	value func(e *emitter, a []string) string // writes the code, returns the value
	test  func(e *emitter, a []string) string // the same for a condition, returns an i1

	// do is the Go function. If it is not a leaf it may allocate, which moves the objects of its arguments: it keeps them (machine.keep).
	do   func(m *machine, a []value) value
	leaf bool
}

// complaint is what compiled code says is wrong, by number.
type complaint int

const (
	noFunction complaint = iota
	wrongCount
	noPair
	noVector
	noNumber
	noText
	noRecord
	badIndex
	overflow
	byZero
)

var complaints = [...]string{
	noFunction: "%s is called and is no function",
	wrongCount: "%s is called with a wrong number of arguments",
	noPair:     "%s is no pair",
	noVector:   "%s is no vector",
	noNumber:   "%s is no number",
	noText:     "%s is no string",
	noRecord:   "%s is no record",
	badIndex:   "index %s is out of range",
	overflow:   "a result does not fit into 63 bits, after %s",
	byZero:     "%s is divided by 0",
}

var primitives = map[symbol]*primitive{}

func init() {
	inline := func(name string, params int, value func(*emitter, []string) string) {
		primitives[symbol(name)] = &primitive{name: name, params: params, value: value}
	}
	test := func(name string, params int, test func(*emitter, []string) string) {
		primitives[symbol(name)] = &primitive{name: name, params: params, test: test}
	}
	inline("+", 2, func(e *emitter, a []string) string { return e.addOrSubtract("sadd", a) })
	inline("-", 2, func(e *emitter, a []string) string { return e.addOrSubtract("ssub", a) })
	inline("*", 2, (*emitter).multiply)
	inline("quotient", 2, func(e *emitter, a []string) string { return e.divide("sdiv", a) })
	inline("remainder", 2, func(e *emitter, a []string) string { return e.divide("srem", a) })
	for name, order := range map[string]string{"<": "slt", ">": "sgt", "<=": "sle", ">=": "sge", "=": "eq"} {
		test(name, 2, func(e *emitter, a []string) string {
			x, y := e.number(a[0]), e.number(a[1])
			return e.set("icmp %s i64 %s, %s", order, x, y)
		})
	}
	test("eq?", 2, func(e *emitter, a []string) string { return e.set("icmp eq %s %s, %s", valueType, a[0], a[1]) })
	for _, name := range []string{"not", "null?"} {
		test(name, 1, func(e *emitter, a []string) string { return e.set("icmp eq %s %s, null", valueType, a[0]) })
	}
	test("number?", 1, func(e *emitter, a []string) string { return e.isNumber(a[0]) })
	for name, k := range map[string]kind{"pair?": pairKind, "vector?": vectorKind, "string?": textKind, "symbol?": symbolKind, "procedure?": closureKind, "record?": recordKind} {
		test(name, 1, func(e *emitter, a []string) string { return e.isKind(a[0], k) })
	}
	inline("cons", 2, func(e *emitter, a []string) string {
		o := e.object(header(pairKind, 2))
		e.store(o, 1, a[0])
		e.store(o, 2, a[1])
		return o
	})
	for i, name := range []string{1: "car", 2: "cdr"} {
		if name != "" {
			inline(name, 1, func(e *emitter, a []string) string {
				e.require(a[0], pairKind, noPair)
				return e.field(a[0], i)
			})
			inline("set-"+name+"!", 2, func(e *emitter, a []string) string {
				e.require(a[0], pairKind, noPair)
				e.store(a[0], i, a[1])
				return a[1]
			})
		}
	}
	inline("vector-length", 1, func(e *emitter, a []string) string {
		h := e.require(a[0], vectorKind, noVector)
		return e.fixnum(e.set("lshr i64 %s, 16", h))
	})
	inline("vector-ref", 2, func(e *emitter, a []string) string {
		return e.set("load %s, %s %s", valueType, valueType, e.element(a))
	})
	inline("vector-set!", 3, func(e *emitter, a []string) string {
		e.line("store %s %s, %s %s", valueType, a[2], valueType, e.element(a))
		return a[2]
	})
	inline("string-length", 1, func(e *emitter, a []string) string {
		e.require(a[0], textKind, noText)
		return e.fixnum(e.bits(e.field(a[0], 1)))
	})
	for _, p := range runtimeFunctions {
		primitives[symbol(p.name)] = p
	}
}

// number is the word of a number, 2n+1.
func (e *emitter) number(v string) string {
	e.unless(e.isNumber(v), noNumber, v)
	return e.bits(v)
}

func (e *emitter) fixnum(n string) string {
	return e.unbits(e.set("or i64 %s, 1", e.set("shl i64 %s, 1", n)))
}

// checked calls an intrinsic that tells of overflow.
func (e *emitter) checked(name, x, y, about string) string {
	e.declarations["llvm."+name] = fmt.Sprintf("declare { i64, i1 } @llvm.%s.with.overflow.i64(i64, i64)\n", name)
	r := e.set("call { i64, i1 } @llvm.%s.with.overflow.i64(i64 %s, i64 %s)", name, x, y)
	over := e.set("extractvalue { i64, i1 } %s, 1", r)
	e.unless(e.set("xor i1 %s, true", over), overflow, about)
	return e.set("extractvalue { i64, i1 } %s, 0", r)
}

func (e *emitter) addOrSubtract(name string, a []string) string {
	x := e.number(a[0])
	y := e.set("and i64 %s, -2", e.number(a[1]))
	return e.unbits(e.checked(name, x, y, a[0]))
}

func (e *emitter) multiply(a []string) string {
	x := e.set("and i64 %s, -2", e.number(a[0]))
	y := e.set("ashr i64 %s, 1", e.number(a[1]))
	return e.unbits(e.set("or i64 %s, 1", e.checked("smul", x, y, a[0])))
}

func (e *emitter) divide(instruction string, a []string) string {
	x := e.set("ashr i64 %s, 1", e.number(a[0]))
	y := e.set("ashr i64 %s, 1", e.number(a[1]))
	e.unless(e.set("icmp ne i64 %s, 0", y), byZero, a[0])
	r := e.set("%s i64 %s, %s", instruction, x, y)
	return e.unbits(e.set("or i64 %s, 1", e.checked("smul", r, "2", a[0]))) // the least number by -1
}

// element is the address of an element of a vector.
func (e *emitter) element(a []string) string {
	h := e.require(a[0], vectorKind, noVector)
	i := e.set("ashr i64 %s, 1", e.number(a[1]))
	e.unless(e.set("icmp ult i64 %s, %s", i, e.set("lshr i64 %s, 16", h)), badIndex, a[1])
	return e.set("getelementptr i64, %s %s, i64 %s", valueType, a[0], e.set("add i64 %s, 1", i))
}
