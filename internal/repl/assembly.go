package repl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/llvm"
)

// assembly is LLVM IR as text. A definition is a module with the declarations that it needs in
// front; instructions are the body of a function that runs once and shows its last value. What
// would keep a definition to its own module (internal, comdats) is dropped. Debug information is
// dropped, too: its nodes are numbered anew in every module.
type assembly struct {
	*Session
	guessed map[string]string // declarations of functions that are called and not declared, by name
	given   map[string]string // names that private definitions got, by file and name
	kept    map[string]kept   // values of earlier instructions, by name with its %
}

// kept is where a value of earlier instructions lies. Modules of values are closed when none of them can be named any more.
type kept struct {
	symbol, about string
	module        *keptModule
}

type keptModule struct {
	module *livejit.Module
	values int
}

// forget has the value of a name not be known any more.
func (a *assembly) forget(name string) error {
	k, ok := a.kept[name]
	if !ok {
		return nil
	}
	delete(a.kept, name)
	if k.module.values--; k.module.values > 0 {
		return nil
	}
	return k.module.module.Close()
}

// keep has the values of instructions that were executed be known to later ones.
func (a *assembly) keep(list []llvm.KeptValue) error {
	var errs []error
	module := &keptModule{module: a.ran, values: len(list)}
	for _, v := range list {
		errs = append(errs, a.forget("%"+v.Name))
		a.kept["%"+v.Name] = kept{v.Symbol, v.Type, module}
	}
	return errors.Join(errs...)
}

// earlier is what instructions need of values that earlier ones have kept: declarations, and instructions in front.
func (a *assembly) earlier(text string) (declare, load string) {
	tokens, _ := scanAssembly(text)
	seen := map[string]bool{}
	for n, t := range tokens { // those that are given here are not the earlier ones
		if t.sigil() == '%' && n+1 < len(tokens) && tokens[n+1].text == "=" {
			seen[canonical(t.text)] = true
		}
	}
	for _, t := range tokens {
		name := t.text
		if t.sigil() == '%' {
			name = canonical(name)
		}
		k, ok := a.kept[name]
		if !ok || seen[name] || a.program.items[name] != nil {
			continue
		}
		seen[name] = true
		declare += fmt.Sprintf("@\"%s\" = external global %s\n", k.symbol, k.about)
		load += fmt.Sprintf("%s = load %s, ptr @\"%s\"\n", t.text, k.about, k.symbol)
	}
	return declare, load
}

func (a *assembly) title() string     { return "LLVM IR" }
func (a *assembly) extension() string { return ".ll" }

func (a *assembly) comment() string { return ";" }

func (a *assembly) open(text string) bool {
	tokens, open := scanAssembly(text)
	if open != "" || len(tokens) == 0 {
		return open != ""
	}
	if last := tokens[len(tokens)-1].text; last == "," || last == "=" {
		return true
	}
	list := entities(text)
	e := list[len(list)-1]
	return e.word == "define" && e.function() >= 0 && e.tokens[len(e.tokens)-1].text != "}" // the body is to come
}

func (a *assembly) scan(text string) ([]token, string) { return scanAssembly(text) }
func (a *assembly) words() []string                    { return assemblyWords }
func (a *assembly) buildFlags() []string               { return []string{"-Wno-override-module"} }
func (a *assembly) refresh(context.Context) error      { return nil }

func (a *assembly) letter(r rune) bool {
	return r >= 0x80 || nameByte(byte(r)) || strings.ContainsRune(sigils, r)
}

func (a *assembly) help() string {
	return "Definitions of LLVM IR become part of the program; instructions run, several in { }, and the\nlast value is printed; so is a global or value that is named. Values with names stay for later\ninstructions, the frame (alloca) does not. A called function needs no declaration."
}

// source does definitions and instructions one after the other. If one does not compile, the
// definitions before it are taken back.
func (a *assembly) source(ctx context.Context, text, name string) error {
	for _, n := range assemblyNames(text) {
		a.typed[n] = true
	}
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "{") && strings.HasSuffix(trimmed, "}") {
		at := strings.IndexByte(text, '{')
		inner := text[:at] + " " + text[at+1:strings.LastIndexByte(text, '}')]
		return a.instructions(ctx, inner, name)
	}
	made := a.made
	list := entities(text)
	for len(list) > 0 {
		n := 1
		for list[0].word != "" && n < len(list) && list[n].word != "" {
			n++
		}
		last := list[n-1]
		// At its own line and column, for messages.
		begin := list[0].begin
		line := strings.LastIndexByte(text[:begin], '\n') + 1
		part := strings.Repeat("\n", strings.Count(text[:begin], "\n")) + strings.Repeat(" ", begin-line) + text[begin:last.begin+len(last.text)]
		var err error
		if list[0].word == "" {
			err = a.instructions(ctx, part, name)
		} else {
			err = a.define(ctx, part, name)
		}
		if isCompile(err) {
			for ; a.made > made; a.made-- {
				if failed := a.undo(ctx, ""); failed != nil {
					return errors.Join(err, failed)
				}
			}
		}
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func isCompile(err error) bool {
	var compile *livejit.CompileError
	return errors.As(err, &compile)
}

// define makes definitions part of the program, in one transaction.
func (a *assembly) define(ctx context.Context, text, name string) error {
	// As it was typed, for messages.
	if _, err := a.translate(ctx, text, name, nil); err != nil {
		return err
	}
	d, err := a.definitions(text, name)
	if err != nil || len(d.items) == 0 {
		return err
	}
	var whole strings.Builder
	for _, i := range d.items {
		whole.WriteString(i.text + "\n")
	}
	u, err := a.translate(ctx, whole.String(), name, nil)
	if err != nil {
		return err
	}
	for _, i := range d.items {
		i.layout = u.layout(i.symbol)
	}
	if d.debug {
		a.note("debug information is left out")
	}
	a.warn(u)
	if err := a.change(ctx, d.items, nil, u); err != nil {
		return err
	}
	if err := a.forgetTypes(d.items); err != nil {
		return err
	}
	for _, f := range d.constructors {
		if err := a.instructions(ctx, "call void "+f+"()", name); err != nil {
			return err
		}
	}
	return nil
}

// forgetTypes forgets values whose type was made from one that may have changed.
func (a *assembly) forgetTypes(items []*item) error {
	var errs []error
	for _, i := range items {
		if i.kind != header || !strings.HasPrefix(i.key, "%") {
			continue
		}
		for name, k := range a.kept {
			if strings.Contains(k.about, "%") {
				errs = append(errs, a.forget(name))
			}
		}
	}
	return errors.Join(errs...)
}

// translate compiles definitions with the declarations that they need in front of them.
func (a *assembly) translate(ctx context.Context, text, name string, leave func(*item) bool) (*unit, error) {
	return a.module(ctx, text, name, leave, nil)
}

// module parses text as a module with the declarations that it needs in front of it. finish, if
// set, changes the module before it becomes bitcode, and returns the layout of the value it shows.
func (a *assembly) module(ctx context.Context, text, name string, leave func(*item) bool, finish func(m *llvm.Module) (string, error)) (*unit, error) {
	begin := time.Now()
	defer func() { a.spent.front += time.Since(begin) }()
	first, text := targetFirst(text)
	own := map[string]bool{}
	for _, e := range entities(text) {
		own[e.name] = e.name != ""
	}
	front := first + a.program.preambleBare(assemblyNames(text), func(i *item) bool {
		return leave != nil && leave(i) || slices.ContainsFunc(i.names, func(n string) bool { return own[n] })
	})
	for guesses := 0; ; guesses++ {
		u, err := a.parse(ctx, front, text, name, finish)
		missing := undefined(err)
		if missing == "" || guesses > 1000 {
			return u, err
		}
		declaration := called(text, missing)
		if declaration == "" {
			return u, err
		}
		front += declaration + "\n"
		a.guessed[unquoted(missing)] = declaration
	}
}

// targetFirst takes what has to be at the beginning of a module out of text; what is around it keeps its place.
func targetFirst(text string) (first, rest string) {
	b := []byte(text)
	for _, e := range entities(text) {
		if e.word != "target" && e.word != "source_filename" {
			continue
		}
		first += e.text + "\n"
		for n := e.begin; n < e.begin+len(e.text); n++ {
			if b[n] != '\n' {
				b[n] = ' '
			}
		}
	}
	return first, string(b)
}

// undefined is the global name that LLVM found used and not declared; "" if that is not the error.
func undefined(err error) string {
	var compile *livejit.CompileError
	if !errors.As(err, &compile) {
		return ""
	}
	name, ok := strings.CutPrefix(compile.Diagnostics[0].Message, "use of undefined value '")
	if !ok || name[0] != '@' {
		return ""
	}
	return canonical(strings.TrimSuffix(name, "'"))
}

// parse has LLVM read one module.
func (a *assembly) parse(ctx context.Context, front, text, name string, finish func(m *llvm.Module) (string, error)) (*unit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := llvm.NewContext()
	defer c.Close()
	m, err := c.ParseIR(name, []byte(front+text+"\n"))
	if err != nil {
		return nil, located(name, err, strings.Count(front, "\n"), text)
	}
	defer m.Close()
	a.counter++
	u := &unit{text: text}
	for _, w := range m.Warnings {
		u.warnings += w.String() + "\n"
	}
	shown := ""
	if finish != nil {
		if shown, err = finish(m); err != nil {
			return nil, located(name, err, 0, "")
		}
	}
	bitcode, err := m.Bitcode()
	if err != nil {
		return nil, located(name, err, 0, "")
	}
	u.source = livejit.Bitcode(fmt.Sprintf("prompt%d", a.counter), bitcode)
	summary, err := m.Prepare(llvm.PrepareOptions{})
	if err != nil {
		return nil, located(name, err, 0, "")
	}
	for _, v := range summary.Variables {
		if v.Defined {
			u.declarations = append(u.declarations, clang.Declaration{Kind: "variable", Symbol: v.Name, Layout: &clang.Layout{Kind: "bytes", Name: v.Type, Size: int(v.Size)}})
		}
	}
	for _, f := range summary.Functions {
		if f.Name == llvm.LastType {
			u.shown = layoutOf(f.Signature.Ret)
			u.shown.Name = shown
		}
	}
	return u, nil
}

// layout is that of a variable which the unit defines.
func (u *unit) layout(symbol string) *clang.Layout {
	for _, d := range u.declarations {
		if d.Symbol == symbol && symbol != "" {
			return d.Layout
		}
	}
	return nil
}

// located gives an error of LLVM its public form, with lines counted behind those that stand in front.
func located(name string, err error, front int, text string) error {
	var e *llvm.Error
	if !errors.As(err, &e) {
		return err
	}
	compile := &livejit.CompileError{Source: name, Stage: e.Kind.String(), Fatal: e.Kind == llvm.KindFatal}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for _, d := range e.Diagnostics {
		l := livejit.Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Severity: d.Severity.String(), Message: d.Message, SourceLine: d.SourceLine}
		if l.Line > 0 {
			l.Line = max(l.Line-front, 1)
			if l.Line > len(lines) { // behind the end
				l.Line = len(lines)
				l.SourceLine = lines[l.Line-1]
				l.Column = len(l.SourceLine) + 1
			}
		}
		compile.Diagnostics = append(compile.Diagnostics, l)
	}
	return compile
}

// instructions runs text as the body of a function and prints the value of the last one.
func (a *assembly) instructions(ctx context.Context, text, name string) error {
	if shown, err := a.named(ctx, text, name, true); shown {
		return err
	}
	u, symbol, err := a.body(ctx, text, name)
	if err != nil {
		return err
	}
	a.warn(u)
	a.show = u.shown
	if err := a.execute(ctx, u, symbol); err != nil || len(u.values) == 0 {
		return err
	}
	return a.keep(u.values)
}

// showing declares what prints a value.
const showing = "declare void @__livejit_show(ptr)\n"

// body compiles instructions as a function of their own. The unit says what the last one gives.
func (a *assembly) body(ctx context.Context, text, name string) (*unit, string, error) {
	a.counter++
	symbol := fmt.Sprintf("__livejit_run%d", a.counter)
	declare, load := a.earlier(text)
	head := declare + "define void @" + symbol + "() {\n\"livejit.entry\":\n" + load
	var values []llvm.KeptValue
	u, err := a.module(ctx, head+text+"\nret void\n}", name, nil, func(m *llvm.Module) (string, error) {
		shown, err := m.ShowLast(symbol, "__livejit_show")
		if err == nil {
			values, err = m.KeepValues(symbol, fmt.Sprintf(".%d", a.counter))
		}
		return shown, err
	})
	if u != nil {
		u.values = values
	}
	var compile *livejit.CompileError
	if errors.As(err, &compile) {
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		for n := range compile.Diagnostics {
			d := &compile.Diagnostics[n]
			if d.Line == 0 {
				continue
			}
			d.Line = max(d.Line-strings.Count(head, "\n"), 1)
			if d.Line > len(lines) { // in what stands behind
				d.Line = len(lines)
				d.SourceLine = lines[d.Line-1]
				d.Column = len(d.SourceLine) + 1
			}
		}
	}
	return u, symbol, err
}

// named shows a function, variable or earlier value that is named by text and nothing else, or says only
// its type. It returns false if text is something else.
func (a *assembly) named(ctx context.Context, text, name string, run bool) (bool, error) {
	tokens, _ := scanAssembly(text)
	if len(tokens) != 1 || tokens[0].sigil() != '@' && tokens[0].sigil() != '%' {
		return false, nil
	}
	full := canonical(tokens[0].text)
	i, k := a.program.items[itemKey(full)], a.kept[full]
	symbol, about, declare := tokens[0].text, k.about, ""
	switch {
	case i != nil && i.kind != header:
		about = i.about
	case i == nil && k.symbol != "":
		symbol = `@"` + k.symbol + `"`
		declare = symbol + " = external global " + about + "\n"
	case i != nil:
		return false, nil
	default:
		return true, fmt.Errorf("%s is not defined here", full)
	}
	layout := &clang.Layout{Kind: "function", Name: about}
	if i == nil || i.kind == variable {
		var err error
		if layout, err = a.typeLayout(ctx, about, name); err != nil {
			return true, err
		}
	}
	if !run {
		a.sayType(layout)
		return true, nil
	}
	a.counter++
	body := fmt.Sprintf("__livejit_run%d", a.counter)
	u, err := a.module(ctx, showing+declare+"define void @"+body+"() {\n  call void @__livejit_show(ptr "+symbol+")\n  ret void\n}", name, nil, nil)
	if err != nil {
		return true, err
	}
	a.show = layout
	return true, a.execute(ctx, u, body)
}

// typeLayout says how a value of a type looks in memory.
func (a *assembly) typeLayout(ctx context.Context, text, name string) (*clang.Layout, error) {
	u, err := a.module(ctx, "declare "+text+" @"+llvm.LastType+"()", name, nil, nil)
	if err != nil {
		return nil, err
	}
	u.shown.Name = text
	return u.shown, nil
}

func (a *assembly) showType(ctx context.Context, text string) error {
	if said, err := a.named(ctx, text, "input", false); said {
		return err
	}
	if tokens, _ := scanAssembly(text); len(tokens) > 0 {
		if name, end := typeAt(tokens, 0); end == len(tokens) && (tokens[0].text != "{" || !strings.Contains(text, "\n")) {
			i := a.program.items[name]
			if i != nil && strings.HasSuffix(i.text, "opaque") {
				a.answer("opaque")
				return nil
			}
			if layout, err := a.typeLayout(ctx, name, "input"); err == nil {
				if i != nil {
					_, layout.Name, _ = strings.Cut(i.text, " type ")
				}
				a.sayType(layout)
				return nil
			}
		}
	}
	u, _, err := a.body(ctx, text, "input")
	if err != nil {
		return err
	}
	if u.shown == nil {
		a.answer("void")
	} else {
		a.sayType(u.shown)
	}
	return nil
}

func (s *Session) sayType(l *clang.Layout) {
	if l.Kind == "void" || l.Kind == "function" || l.Kind == "incomplete" {
		s.answer("%s", l.Name)
	} else {
		s.answer("%s, %d bytes", l.Name, l.Size)
	}
}

func (a *assembly) entry(ctx context.Context, symbol string) (*unit, error) {
	declaration := a.guessed[symbol]
	if i := a.program.items[symbol]; i != nil {
		if declaration = i.seen; i.kind != function {
			return nil, nil
		}
	}
	if declaration == "" {
		return nil, nil
	}
	text := "define" + strings.TrimPrefix(declaration, "declare") + " {\n  unreachable\n}"
	return a.module(ctx, text, symbol, nil, nil)
}

// initialise copies the initial value over what the variable holds.
func (a *assembly) initialise(ctx context.Context, i *item) error {
	a.counter++
	symbol := fmt.Sprintf("__livejit_run%d", a.counter)
	text := fmt.Sprintf("@\"%s.initial\" = private unnamed_addr constant %s %s\n", symbol, i.about, initialiser(i.text)) +
		fmt.Sprintf("define void @%s() {\n  call void @llvm.memcpy.p0.p0.i64(ptr @%s, ptr @\"%s.initial\", i64 %d, i1 false)\n  ret void\n}", symbol, quotedName(i.symbol), symbol, i.layout.Size)
	u, err := a.module(ctx, text, i.name, nil, nil)
	if err != nil {
		return err
	}
	return a.execute(ctx, u, symbol)
}

// quotedName is a symbol as IR writes it behind the @.
func quotedName(symbol string) string {
	for n := range len(symbol) {
		if !nameByte(symbol[n]) {
			return `"` + symbol + `"`
		}
	}
	return symbol
}

// text is the program as one module: types, definitions as they were typed, then attributes and metadata.
func (a *assembly) text(p *program) string {
	var types, globals, rest strings.Builder
	defined := map[string]bool{}
	uses := map[string]bool{}
	for _, i := range p.sorted() {
		text := i.text
		if i.broken != "" {
			text = "; This does not compile any more.\n; " + strings.ReplaceAll(text, "\n", "\n; ")
		}
		switch {
		case i.kind != header:
			globals.WriteString("\n" + text + "\n")
		case strings.HasPrefix(i.key, "%"):
			types.WriteString(text + "\n")
		default:
			rest.WriteString(text + "\n")
		}
		defined[i.symbol] = true
		for _, n := range i.uses {
			uses[n] = i.broken == "" || uses[n]
		}
	}
	for _, n := range sortedKeys(uses) {
		if symbol := unquoted(n); n[0] == '@' && !defined[symbol] && a.guessed[symbol] != "" {
			globals.WriteString("\n" + a.guessed[symbol] + "\n")
		}
	}
	if rest.Len() > 0 {
		globals.WriteString("\n")
	}
	return strings.TrimPrefix(types.String()+globals.String()+rest.String(), "\n")
}

// layoutOf says how values of a type are printed.
func layoutOf(t llvm.Type) *clang.Layout {
	l := &clang.Layout{Name: t.Text, Size: int(t.Size), Kind: "bytes"}
	switch t.Kind {
	case llvm.Void:
		l.Kind = "void"
	case llvm.Int:
		l.Kind = "int"
		if t.Bits == 1 {
			l.Kind = "bool"
		}
	case llvm.Float, llvm.Double, llvm.X86FP80:
		l.Kind = "float"
	case llvm.Pointer:
		l.Kind = "pointer"
	case llvm.Array, llvm.Vector:
		element := layoutOf(t.Elems[0])
		if e := t.Elems[0]; e.Kind == llvm.Int && int(e.Bits) != 8*element.Size {
			break // packed, or with undefined bits
		}
		l.Kind, l.Count, l.Element = "array", int(t.Count), element
		if t.Kind == llvm.Array && t.Elems[0].Kind == llvm.Int && t.Elems[0].Bits == 8 {
			element.Kind = "char"
		}
	case llvm.Struct, llvm.PackedStruct:
		l.Kind = "struct"
		at := 0
		for _, e := range t.Elems {
			if align := int(e.Align); t.Kind == llvm.Struct && align > 0 {
				at = (at + align - 1) / align * align
			}
			f := clang.Field{Offset: 8 * at, Type: layoutOf(e)}
			if e.Kind == llvm.Int && int(e.Bits) != 8*f.Type.Size && e.Bits < 64 {
				f.Bits = int(e.Bits)
			}
			l.Fields = append(l.Fields, f)
			at += f.Type.Size
		}
	}
	return l
}

// assemblyWords are worth completing and colouring.
var assemblyWords = []string{
	"add", "alloca", "and", "ashr", "atomicrmw", "attributes", "br", "call", "cmpxchg", "constant", "declare", "define", "double", "eq",
	"external", "extractelement", "extractvalue", "fadd", "fcmp", "fdiv", "float", "fmul", "fneg", "fpext", "fptosi", "fptoui", "fptrunc", "freeze",
	"frem", "fsub", "getelementptr", "global", "i1", "i128", "i16", "i32", "i64", "i8", "icmp", "inbounds", "insertelement", "insertvalue",
	"inttoptr", "invoke", "label", "landingpad", "load", "lshr", "mul", "ne", "nsw", "null", "nuw", "or", "phi", "poison", "ptr", "ptrtoint", "ret",
	"sdiv", "select", "sext", "sge", "sgt", "shl", "shufflevector", "sitofp", "sle", "slt", "srem", "store", "sub", "switch", "to", "trunc", "type",
	"udiv", "uge", "ugt", "uitofp", "ule", "ult", "undef", "unreachable", "urem", "void", "xor", "zeroinitializer", "zext",
}
