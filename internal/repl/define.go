package repl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"livejit"
	"livejit/clang"
)

// define takes text as declarations and makes them part of the program. The error is
// clang's if they are none.
func (s cFamily) define(ctx context.Context, text, name string, complete bool) error {
	if !complete {
		text += ";"
	}
	var assign []assignment
	u, err := s.translate(ctx, text, name, nil)
	if named, ok := nameless(text, u.declarations); ok {
		u, err = s.translate(ctx, named, name, nil)
		text = named
	}
	if public := exposed(text, u.declarations); public != text {
		u, err = s.translate(ctx, public, name, nil)
		text = public
	}
	if constantInitialiser(err) && s.config.Lang == "c" {
		// C has no code that runs for an initialiser: it becomes an assignment.
		var rest string
		if rest, assign = dynamic(text, u.declarations, err); len(assign) > 0 {
			u, err = s.translate(ctx, rest, name, nil)
		}
	}
	if err != nil {
		return err
	}
	if shared, ok := s.lambdas(text, u.declarations); ok {
		if u, err = s.translate(ctx, shared, name, nil); err != nil {
			return err
		}
	}
	items := itemsOf(u, s.config.Lang)
	for _, i := range items {
		for _, a := range assign {
			if i.kind == variable && i.name == a.variable {
				i.init = a.value
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	s.warn(u)
	if err := s.change(ctx, items, nil, u); err != nil {
		return err
	}
	for _, a := range assign {
		if err := s.statement(ctx, a.statement(), name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) warn(u *unit) {
	if u.warnings != "" {
		s.note("%s", strings.TrimRight(u.warnings, "\n"))
	}
}

// assignment is an initialiser of C that is not constant.
type assignment struct {
	variable, value string
	array           bool
}

func (a assignment) statement() string {
	if a.array || strings.HasPrefix(a.value, "{") {
		return fmt.Sprintf("{ __typeof__(%s) __livejit_value = %s; __builtin_memcpy(&%s, &__livejit_value, sizeof %s); }", a.variable, a.value, a.variable, a.variable)
	}
	return a.variable + " = " + a.value + ";"
}

const notConstant = "initializer element is not a compile-time constant"

// constantInitialiser says whether nothing else is wrong than that C wants constants.
func constantInitialiser(err error) bool {
	var compile *livejit.CompileError
	if !errors.As(err, &compile) {
		return false
	}
	for _, d := range compile.Diagnostics {
		if d.Severity == "error" && d.Message != notConstant {
			return false
		}
	}
	return true
}

// dynamic takes the initialisers that are not constant out of text; what is around them
// keeps its place.
func dynamic(text string, list []clang.Declaration, err error) (string, []assignment) {
	var compile *livejit.CompileError
	errors.As(err, &compile)
	var assign []assignment
	rest := []byte(text)
	for _, d := range list {
		hit := slices.ContainsFunc(compile.Diagnostics, func(m livejit.Diagnostic) bool {
			at := offset(text, m.Line, m.Column)
			return m.Severity == "error" && at >= d.Init[0] && at < d.Init[1]
		})
		equals := strings.LastIndexByte(text[:d.Init[0]], '=')
		if d.Kind != "variable" || !hit || equals < 0 {
			continue
		}
		assign = append(assign, assignment{d.Name, text[d.Init[0]:d.Init[1]], d.Layout != nil && d.Layout.Kind == "array"})
		for n := equals; n < d.Init[1]; n++ {
			if rest[n] != '\n' {
				rest[n] = ' '
			}
		}
	}
	return string(rest), assign
}

// offset is where a line and column lie in text.
func offset(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return at + column - 1
}

// nameless gives a name to a type without one that variables are declared with: other inputs
// have to mention it.
func nameless(text string, list []clang.Declaration) (string, bool) {
	for n := len(list) - 2; n >= 0; n-- {
		d, next := list[n], list[n+1]
		if d.Kind != "type" || d.Name != "" || next.Kind != "variable" || next.Range[0] > d.Range[0] || next.Range[1] <= d.Range[1] {
			continue
		}
		at := d.Range[0] + len(d.Tag)
		if at > len(text) || text[d.Range[0]:at] != d.Tag {
			return text, false
		}
		return text[:at] + " " + next.Name + "_" + d.Tag + text[at:], true
	}
	return text, false
}

// lambdas makes variables of lambdas' types inline. Such a type has no name, but sources that contain the same inline definition mean
// the same type by it: so others see the definition. Each one has a tag of its own in its symbol, because each lambda has
// a type of its own, although it may look like the one before.
func (s cFamily) lambdas(text string, list []clang.Declaration) (string, bool) {
	at := -1
	var b strings.Builder
	for _, d := range list {
		if d.Kind != "variable" || !strings.Contains(d.Declaration, lambdaType) || d.Range[0] <= at {
			continue
		}
		s.counter++
		b.WriteString(text[max(at, 0):d.Range[0]])
		fmt.Fprintf(&b, "inline __attribute__((abi_tag(\"v%d\"))) ", s.counter)
		at = d.Range[0]
	}
	return b.String() + text[max(at, 0):], at >= 0
}

// lambdaType is in the type of a variable that holds a lambda, as clang writes it.
const lambdaType = "(lambda at "

// itemsOf makes items of what a unit declares. Declarations that share text, like a struct
// and a variable of it, are taken apart.
func itemsOf(u *unit, lang string) []*item {
	var items []*item
	list := u.declarations
	for len(list) > 0 {
		end, n := list[0].Range[1], 1
		for n < len(list) && list[n].Range[0] < end {
			end = max(end, list[n].Range[1])
			n++
		}
		items = append(items, group(u.text, list[:n], lang)...)
		list = list[n:]
	}
	return items
}

// group makes items of declarations that share text.
func group(text string, list []clang.Declaration, lang string) []*item {
	whole := list[0].Range
	typedef := false
	for _, d := range list {
		whole = [2]int{min(whole[0], d.Range[0]), max(whole[1], d.Range[1])}
		typedef = typedef || d.Kind == "typedef"
	}
	source := strings.TrimSpace(text[whole[0]:whole[1]])
	if typedef {
		last := list[len(list)-1]
		i := &item{key: "typedef " + last.Name, kind: header, name: last.Name, text: terminated(source), layout: last.Layout}
		for _, d := range list {
			if d.Name != "" {
				i.names = append(i.names, d.Name)
			}
			i.names = append(i.names, d.Names...)
			if d.Kind == "type" && d.Name != "" && d.Definition && d.Name != last.Name {
				i.key = d.Tag + " " + d.Name
				i.name = d.Name
			}
		}
		return []*item{finished(i)}
	}
	var items []*item
	for _, d := range list {
		own := source
		if len(list) > 1 {
			own = strings.TrimSpace(text[d.Range[0]:d.Range[1]])
		}
		if i := single(d, own, text, lang, len(list) > 1); i != nil {
			items = append(items, finished(i))
		}
	}
	return items
}

// single makes the item of one declaration; shared says that its text is not its alone.
func single(d clang.Declaration, source, text, lang string, shared bool) *item {
	i := &item{name: d.Name, names: []string{d.Name[strings.LastIndexByte(d.Name, ':')+1:]}, about: strings.TrimSpace(d.Type), symbol: d.Symbol, defined: d.Definition, layout: d.Layout}
	switch d.Kind {
	case "function", "method":
		i.key, i.kind = d.Symbol, function
		i.text = external(source)
		if !d.Definition {
			i.text = terminated(i.text)
		}
		switch {
		case d.Constant || d.Symbol == "":
			i.kind, i.key, i.seen = header, "function "+d.Name, i.text
		case d.Kind == "method": // its class declares it
		case lang == "c++" && d.Definition && d.Init[1] > 0:
			i.seen = external(strings.TrimSpace(text[d.Range[0]:d.Init[0]])) + ";"
		case lang == "c++":
			i.seen = i.text
		default:
			i.seen = d.Declaration + ";"
		}
	case "variable":
		i.key, i.kind = d.Symbol, variable
		i.constant = constantType(i.about)
		thread := ""
		if d.Thread {
			thread = map[string]string{"c": "_Thread_local ", "c++": "thread_local "}[lang]
		}
		i.text = terminated(external(source))
		if shared {
			i.text = thread + d.Declaration
			if d.Init[1] > 0 {
				i.text += " = " + text[d.Init[0]:d.Init[1]]
			}
			i.text += ";"
		}
		i.seen = "extern " + thread + d.Declaration + ";"
		if !d.Definition && !shared {
			i.text = i.seen
		}
		if strings.Contains(d.Declaration, lambdaType) {
			i.text = terminated(source)
			i.kind, i.key, i.symbol, i.lambda = header, "lambda "+d.Name, "", true
		} else if d.Constant {
			i.kind, i.seen, i.key = header, i.text, "constant "+d.Name
		}
	case "type":
		i.kind, i.key, i.text = header, d.Tag+" "+d.Name, terminated(source)
		if !d.Definition {
			i.text, i.key = d.Tag+" "+d.Name+";", "declaration of "+d.Tag+" "+d.Name
		}
		i.names = append(i.names, d.Names...)
		if d.Name == "" && len(d.Names) > 0 {
			i.names, i.name = d.Names, d.Names[0]
			i.key += i.name
		}
	case "empty":
		return nil
	default:
		i.kind, i.key, i.text = header, d.Class+" "+d.Name, source
		if d.Name == "" || d.Class == "UsingDirective" {
			i.key, i.names, i.name = source, nil, firstLine(source)
		}
		switch d.Class {
		case "Namespace":
			i.code = true
		case "LinkageSpec":
			i.code, i.names = true, identifiers(source)
		}
		if !strings.HasSuffix(source, "}") {
			i.text = terminated(source)
		}
	}
	return i
}

// constantType says whether a type as C writes it is that of a constant: "const int", "char *const".
func constantType(text string) bool {
	text, _, _ = strings.Cut(text, "[")
	text = strings.TrimSpace(text)
	return strings.HasSuffix(text, "const") || strings.HasPrefix(text, "const ") && !strings.HasSuffix(text, "*")
}

// finished fills in what follows from the rest.
func finished(i *item) *item {
	if i.kind == header {
		i.seen, i.defined = i.text, true
	}
	i.names = slices.DeleteFunc(i.names, func(n string) bool { return n == "" })
	i.uses, i.needs = identifiers(i.text), identifiers(i.seen)
	return i
}

func terminated(s string) string {
	if s = strings.TrimSpace(s); strings.HasSuffix(s, ";") {
		return s
	}
	return s + ";"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// private is what would keep a definition to its own source.
var private = []string{"static", "inline", "__inline", "__inline__"}

// external drops what would keep a definition to its own source.
func external(source string) string {
	for {
		source = strings.TrimSpace(source)
		n := wordEnd(source, 0)
		if !slices.Contains(private, source[:n]) {
			return source
		}
		source = source[n:]
	}
}

// exposed blanks what would keep the functions and variables of text to its own source; all
// keeps its place.
func exposed(text string, list []clang.Declaration) string {
	b := []byte(text)
	for _, d := range list {
		if d.Kind != "function" && d.Kind != "variable" || d.Constant {
			continue
		}
		for at := d.Range[0]; ; {
			end := wordEnd(text, at)
			if !slices.Contains(private, text[at:end]) {
				break
			}
			copy(b[at:end], strings.Repeat(" ", end-at))
			for at = end; at < len(text) && strings.IndexByte(" \t\n", text[at]) >= 0; at++ {
			}
		}
	}
	return string(b)
}
