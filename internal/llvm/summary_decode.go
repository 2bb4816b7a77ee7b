package llvm

// decodeSummary reads what summary.cpp wrote; the layout is described there.
func decodeSummary(b []byte) *Summary {
	r := newReader(b)
	types := make([]Type, r.u32())
	signatures := make([]Signature, r.u32())
	n := int(r.u32())
	s := &Summary{ModuleAsm: r.u32() != 0}
	s.Ctors, s.Dtors = r.inits(), r.inits()
	var sets [][]string
	s.Layouts, sets = r.layouts()
	for i := range types {
		types[i] = r.typ(types)
	}
	for i := range signatures {
		signatures[i] = r.signature(types)
	}
	globals := make([]Global, n)
	for i := range globals {
		r.global(&globals[i], types, signatures, sets)
	}
	s.Functions, globals = takeKind(globals, Function)
	s.Variables, globals = takeKind(globals, Variable)
	s.Aliases, globals = takeKind(globals, Alias)
	s.IFuncs, _ = takeKind(globals, IFunc)
	return s
}

// takeKind splits the leading globals of kind k off: the writer orders by kind.
func takeKind(g []Global, k GlobalKind) (taken, rest []Global) {
	n := 0
	for n < len(g) && g[n].Kind == k {
		n++
	}
	return g[:n:n], g[n:]
}

func (r *reader) inits() []Init {
	n := int(r.u32())
	if n == 0 {
		return nil
	}
	list := make([]Init, n)
	for i := range list {
		list[i] = Init{Priority: int(r.u32()), Function: r.str()}
	}
	return list
}

func (r *reader) typ(earlier []Type) Type {
	t := Type{Kind: TypeKind(r.u32()), Bits: r.u32(), Count: r.u64(), Size: r.u64(), Align: r.u32()}
	if n := int(r.u32()); n > 0 {
		t.Elems = make([]Type, n)
		for i := range t.Elems {
			t.Elems[i] = earlier[r.u32()]
		}
	}
	t.Text = r.str()
	return t
}

func (r *reader) signature(types []Type) Signature {
	s := Signature{Ret: types[r.u32()], RetAttrs: ABIAttr(r.u32()), Variadic: r.u32() != 0, CallingConv: r.u32()}
	n := int(r.u32())
	if n > 0 {
		s.Params = make([]Type, n)
	}
	for i := range n {
		s.Params[i] = types[r.u32()]
		a := ParamAttr{Flags: ABIAttr(r.u32()), Align: r.u32()}
		if p := r.u32(); p != 0 {
			a.Type = &types[p-1]
		}
		if a != (ParamAttr{}) {
			if s.Attrs == nil {
				s.Attrs = make([]ParamAttr, n)
			}
			s.Attrs[i] = a
		}
	}
	s.Text = r.str()
	return s
}

// layouts reads the aggregates and the sets of their names that variables refer to.
func (r *reader) layouts() (map[string]Layout, [][]string) {
	names := make([]string, r.u32())
	var all map[string]Layout
	if len(names) > 0 {
		all = make(map[string]Layout, len(names))
	}
	for i := range names {
		names[i] = r.str()
		l := Layout{Size: r.u64()}
		if n := int(r.u32()); n > 0 {
			l.Members = make([]Member, n)
		}
		for j := range l.Members {
			l.Members[j] = Member{Name: r.str(), Offset: r.u64(), Size: r.u64(), Type: r.str()}
		}
		all[names[i]] = l
	}
	sets := make([][]string, r.u32())
	for i := range sets {
		sets[i] = make([]string, r.u32())
		for j := range sets[i] {
			sets[i][j] = names[r.u32()]
		}
	}
	return all, sets
}

func (r *reader) global(g *Global, types []Type, signatures []Signature, sets [][]string) {
	const (
		local = 1 << iota
		defined
		threadLocal
		constant
		alwaysInline
		unnamedAddr
		collected
	)
	g.Kind, g.Linkage, g.Visibility = GlobalKind(r.u32()), Linkage(r.u32()), Visibility(r.u32())
	f := r.u32()
	g.Local, g.Defined, g.ThreadLocal = f&local != 0, f&defined != 0, f&threadLocal != 0
	g.Constant, g.AlwaysInline, g.UnnamedAddr = f&constant != 0, f&alwaysInline != 0, f&unnamedAddr != 0
	g.Collected = f&collected != 0
	t := r.u32()
	if sig := r.u32(); sig != 0 {
		g.Signature = &signatures[sig-1]
		g.Type = g.Signature.Text
	} else {
		g.Type = types[t].Text
	}
	g.Align, g.Size, g.AliaseeOff = r.u32(), r.u64(), int64(r.u64())
	r.copy(g.Code[:])
	r.copy(g.Init[:])
	g.Lines = r.u64()
	if set := r.u32(); set != 0 {
		g.Aggregates = sets[set-1]
	}
	g.Name, g.Comdat, g.Section, g.Aliasee = r.str(), r.str(), r.str(), r.str()
	g.DebugType = r.str()
}
