package main

import "slices"

// The compiler makes a tree of nodes of a form, in which every name is resolved; emit.go makes LLVM IR of it.
type node any

type (
	constant struct{ v value }      // a number, nil, or something permanent
	local    struct{ v *variable }  // its value
	global   struct{ slot uintptr } // what stands in a permanent place
	fnValue  struct{ f *function }  // a function of the program as a value
	assign   struct {
		v    *variable // nil: slot is assigned
		slot uintptr
		to   node
	}
	branch   struct{ test, then, otherwise node }
	sequence []node
	loop     struct{ test, body node }
	binding  struct {
		vars  []*variable
		inits []node
		body  node
	}
	closure struct{ code *code }
	call    struct {
		f    *function // nil: fn's value is called
		fn   node
		args []node
	}
	operation struct {
		p    *primitive
		args []node
	}
	record struct {
		shape  int
		fields []node
	}
	access struct { // of a record's field
		of    node
		field symbol
		to    node // what is stored; nil: it is loaded
	}
)

// variable is a parameter or a variable of let.
type variable struct {
	name               string
	owner              *code
	assigned, captured bool
}

// boxed says whether it lives in an object of its own, which closures share.
func (v *variable) boxed() bool { return v.assigned && v.captured }

// function is a function of the program, by its name.
type function struct {
	name   string
	params int
}

// code is the body of a function, or of a lambda expression.
type code struct {
	symbol string // in LLVM IR
	params []*variable
	free   []*variable // captured from outside, in the order in which closures hold them
	body   node
	outer  *code
}

type scope struct {
	vars  map[symbol]*variable
	outer *scope
	code  *code
}

// compiler turns the definitions of one batch into nodes.
type compiler struct {
	vm      *machine
	lambdas []*code
}

// function compiles (define (name params...) body...), or an expression without parameters.
func (c *compiler) function(name string, params list, body []form) (*code, error) {
	f := &code{symbol: name}
	return f, c.body(f, nil, params, body)
}

func (c *compiler) body(f *code, outer *scope, params list, body []form) error {
	s := &scope{vars: map[symbol]*variable{}, outer: outer, code: f}
	for _, p := range params {
		name, ok := p.(symbol)
		if !ok {
			return mistake("%s is no name of a parameter", show(p))
		}
		v := &variable{name: string(name), owner: f}
		s.vars[name] = v
		f.params = append(f.params, v)
	}
	var err error
	f.body, err = c.sequence(s, body)
	return err
}

func (c *compiler) sequence(s *scope, forms []form) (node, error) {
	if len(forms) == 0 {
		return nil, mistake("a body without expressions")
	}
	if len(forms) == 1 {
		return c.expr(s, forms[0])
	}
	return c.exprs(s, forms)
}

func (c *compiler) exprs(s *scope, forms []form) (sequence, error) {
	nodes := make(sequence, len(forms))
	for i, f := range forms {
		var err error
		if nodes[i], err = c.expr(s, f); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func (c *compiler) expr(s *scope, f form) (node, error) {
	switch f := f.(type) {
	case int64:
		return constant{fixnum(f)}, nil
	case text:
		return constant{c.vm.permanentText(string(f))}, nil
	case symbol:
		return c.name(s, f)
	case list:
		if len(f) == 0 {
			return constant{null}, nil
		}
		if name, ok := f[0].(symbol); ok && c.lookup(s, name) == nil {
			if special := specials[name]; special != nil {
				n, err := special(c, s, f[1:])
				if e, ok := err.(*sourceError); ok && e.line == 0 && len(e.reason) < 200 {
					err = mistake("%s, in (%s ...)", e.reason, name)
				}
				return n, err
			}
			if p := primitives[name]; p != nil {
				args, err := c.exprs(s, f[1:])
				if err == nil && len(args) != p.params {
					err = mistake("%s takes %d arguments, not %d", name, p.params, len(args))
				}
				return operation{p, args}, err
			}
			if fn := c.vm.functions[name]; fn != nil {
				args, err := c.exprs(s, f[1:])
				if err == nil && len(args) != fn.params {
					err = mistake("%s takes %d arguments, not %d", name, fn.params, len(args))
				}
				return call{f: fn, args: args}, err
			}
		}
		nodes, err := c.exprs(s, f)
		if err != nil {
			return nil, err
		}
		return call{fn: nodes[0], args: nodes[1:]}, nil
	}
	return nil, mistake("%s is no expression", show(f))
}

// lookup finds a variable, and notes in every function between its use and its own that it is captured.
func (c *compiler) lookup(s *scope, name symbol) *variable {
	for at := s; at != nil; at = at.outer {
		if v := at.vars[name]; v != nil {
			for f := s.code; f != v.owner; f = f.outer {
				v.captured = true
				if !slices.Contains(f.free, v) {
					f.free = append(f.free, v)
				}
			}
			return v
		}
	}
	return nil
}

func (c *compiler) name(s *scope, name symbol) (node, error) {
	if v := c.lookup(s, name); v != nil {
		return local{v}, nil
	}
	if name == "nil" {
		return constant{null}, nil
	}
	if name == "t" {
		return constant{c.vm.intern("t")}, nil
	}
	if slot, ok := c.vm.globals[name]; ok {
		return global{slot}, nil
	}
	if f := c.vm.functions[name]; f != nil {
		return fnValue{f}, nil
	}
	return nil, mistake("%s is not defined", name)
}

// specials are the forms that are no calls. Set in init, since they compile what is inside.
var specials map[symbol]func(c *compiler, s *scope, args list) (node, error)

func init() {
	specials = map[symbol]func(*compiler, *scope, list) (node, error){
		"quote": func(c *compiler, s *scope, args list) (node, error) {
			if len(args) != 1 {
				return nil, mistake("it takes one form")
			}
			if l, ok := args[0].(list); ok && len(l) > 0 {
				return global{c.vm.constant(l)}, nil
			}
			return constant{c.vm.atom(args[0])}, nil
		},
		"if": func(c *compiler, s *scope, args list) (node, error) {
			if len(args) != 2 && len(args) != 3 {
				return nil, mistake("it takes two or three forms")
			}
			n, err := c.exprs(s, args)
			if err != nil {
				return nil, err
			}
			return branch{n[0], n[1], append(n, constant{null})[2]}, nil
		},
		"cond":  (*compiler).cond,
		"begin": func(c *compiler, s *scope, args list) (node, error) { return c.sequence(s, args) },
		"and":   func(c *compiler, s *scope, args list) (node, error) { return c.andOr(s, args, true) },
		"or":    func(c *compiler, s *scope, args list) (node, error) { return c.andOr(s, args, false) },
		"while": func(c *compiler, s *scope, args list) (node, error) {
			if len(args) < 2 {
				return nil, mistake("it takes a test and a body")
			}
			test, err := c.expr(s, args[0])
			if err != nil {
				return nil, err
			}
			body, err := c.sequence(s, args[1:])
			return loop{test, body}, err
		},
		"set!":   (*compiler).set,
		"let":    func(c *compiler, s *scope, args list) (node, error) { return c.let(s, args, false) },
		"let*":   func(c *compiler, s *scope, args list) (node, error) { return c.let(s, args, true) },
		"lambda": (*compiler).lambda,
		"record": (*compiler).record,
		"get":    func(c *compiler, s *scope, args list) (node, error) { return c.access(s, args, 2) },
		"put!":   func(c *compiler, s *scope, args list) (node, error) { return c.access(s, args, 3) },
		"define": func(*compiler, *scope, list) (node, error) {
			return nil, mistake("definitions stand at the top level, or are given to eval")
		},
	}
}

func (c *compiler) cond(s *scope, clauses list) (node, error) {
	if len(clauses) == 0 {
		return constant{null}, nil
	}
	clause, ok := clauses[0].(list)
	if !ok || len(clause) < 2 {
		return nil, mistake("%s is no clause", show(clauses[0]))
	}
	if clause[0] == symbol("else") {
		return c.sequence(s, clause[1:])
	}
	test, err := c.expr(s, clause[0])
	if err != nil {
		return nil, err
	}
	then, err := c.sequence(s, clause[1:])
	if err != nil {
		return nil, err
	}
	otherwise, err := c.cond(s, clauses[1:])
	return branch{test, then, otherwise}, err
}

// andOr gives the value of the last form that was looked at.
func (c *compiler) andOr(s *scope, args list, and bool) (node, error) {
	if len(args) == 0 {
		return c.name(s, map[bool]symbol{true: "t", false: "nil"}[and])
	}
	first, err := c.expr(s, args[0])
	if err != nil || len(args) == 1 {
		return first, err
	}
	if and {
		rest, err := c.andOr(s, args[1:], and)
		return branch{first, rest, constant{null}}, err
	}
	v := &variable{name: "or", owner: s.code}
	rest, err := c.andOr(s, args[1:], and)
	return binding{[]*variable{v}, []node{first}, branch{local{v}, local{v}, rest}}, err
}

func (c *compiler) set(s *scope, args list) (node, error) {
	if len(args) != 2 {
		return nil, mistake("it takes a name and an expression")
	}
	name, ok := args[0].(symbol)
	if !ok {
		return nil, mistake("%s is no name", show(args[0]))
	}
	to, err := c.expr(s, args[1])
	if err != nil {
		return nil, err
	}
	if v := c.lookup(s, name); v != nil {
		v.assigned = true
		return assign{v: v, to: to}, nil
	}
	if slot, ok := c.vm.globals[name]; ok {
		return assign{slot: slot, to: to}, nil
	}
	return nil, mistake("%s is no variable", name)
}

func (c *compiler) let(s *scope, args list, inTurn bool) (node, error) {
	if len(args) < 2 {
		return nil, mistake("it takes bindings and a body")
	}
	bindings, ok := args[0].(list)
	if !ok {
		return nil, mistake("%s is no list of bindings", show(args[0]))
	}
	if inTurn && len(bindings) > 1 {
		inner, err := c.nest(s, bindings, args[1:])
		return inner, err
	}
	b := binding{}
	inner := &scope{vars: map[symbol]*variable{}, outer: s, code: s.code}
	for _, f := range bindings {
		pair, ok := f.(list)
		if !ok || len(pair) != 2 {
			return nil, mistake("%s is no binding", show(f))
		}
		name, ok := pair[0].(symbol)
		if !ok {
			return nil, mistake("%s is no name", show(pair[0]))
		}
		init, err := c.expr(s, pair[1])
		if err != nil {
			return nil, err
		}
		v := &variable{name: string(name), owner: s.code}
		inner.vars[name] = v
		b.vars, b.inits = append(b.vars, v), append(b.inits, init)
	}
	var err error
	b.body, err = c.sequence(inner, args[1:])
	return b, err
}

// nest makes (let* (a b...) body...) the same as (let (a) (let* (b...) body...)).
func (c *compiler) nest(s *scope, bindings list, body list) (node, error) {
	rest := append(list{symbol("let*"), bindings[1:]}, body...)
	return c.let(s, list{bindings[:1], rest}, false)
}

func (c *compiler) lambda(s *scope, args list) (node, error) {
	if len(args) < 2 {
		return nil, mistake("it takes parameters and a body")
	}
	params, ok := args[0].(list)
	if !ok {
		return nil, mistake("%s is no list of parameters", show(args[0]))
	}
	f := &code{symbol: c.vm.lambdaName(s.code.symbol), outer: s.code}
	if err := c.body(f, s, params, args[1:]); err != nil {
		return nil, err
	}
	c.lambdas = append(c.lambdas, f)
	return closure{f}, nil
}

// record compiles (record (field expression)...).
func (c *compiler) record(s *scope, args list) (node, error) {
	var fields []symbol
	var inits []form
	for _, f := range args {
		pair, _ := f.(list)
		if len(pair) != 2 {
			return nil, mistake("%s is no field with a value", show(f))
		}
		name, ok := pair[0].(symbol)
		if !ok || slices.Contains(fields, name) {
			return nil, mistake("%s is no name of a field, or twice", show(pair[0]))
		}
		fields, inits = append(fields, name), append(inits, pair[1])
	}
	values, err := c.exprs(s, inits)
	return record{c.vm.shape(fields), values}, err
}

// access compiles (get expression field) and (put! expression field expression).
func (c *compiler) access(s *scope, args list, n int) (node, error) {
	if len(args) != n {
		return nil, mistake("it takes %d forms", n)
	}
	field, ok := args[1].(symbol)
	if !ok {
		return nil, mistake("%s is no name of a field", show(args[1]))
	}
	of, err := c.expr(s, args[0])
	if err != nil || n == 2 {
		return access{of: of, field: field}, err
	}
	to, err := c.expr(s, args[2])
	return access{of: of, field: field, to: to}, err
}
