package repl

import (
	"maps"
	"slices"
	"strings"

	"livejit/clang"
)

// kind is what an item of a program is to the other items.
type kind int

const (
	header   kind = iota // a type, macro, template or the like: others see its text
	function             // others see its prototype
	variable             // others see an extern declaration
	include              // a directive that brings what is not known; in front of everything
)

// item is one definition or declaration of the program at the prompt. Items are not changed
// once they are part of a program.
type item struct {
	key      string // what a new item of the same key takes the place of
	kind     kind
	name     string   // what people call it
	names    []string // identifiers that mean it
	text     string   // the source, complete with its semicolon
	seen     string   // what other sources see of it
	about    string   // the type of a function or variable as C writes it
	symbol   string   // the linker's name of a function or variable
	defined  bool     // there is a definition; else it is only declared
	layout   *clang.Layout
	uses     []string // identifiers in text
	needs    []string // identifiers in seen
	from     string   // the file or input that it came from, in IR
	order    int      // place in the program
	broken   string   // why it does not compile any more; "" if it does
	constant bool     // a variable that has its initial value for ever
	init     string   // of a variable in C: an initialiser that is assigned when it is defined
	code     bool     // a header that defines functions as well
	lambda   bool     // a variable that holds a lambda, in C++: a header, because its type has no name
	line     bool     // a macro or the like, which ends with its line
}

// program is the set of items that are so now.
type program struct {
	items map[string]*item
	next  int                // order of the last item
	named map[string][]*item // by the identifiers that mean them
	used  map[string][]*item // by the identifiers they use
	bare  []*item            // headers without a name, which every source sees
}

func newProgram() *program {
	return &program{items: map[string]*item{}, named: map[string][]*item{}, used: map[string][]*item{}}
}

// apply puts items in and removes others. One that takes the place of another takes its order.
// It returns what takes the change back.
func (p *program) apply(put, remove []*item) (undo func()) {
	var dropped []*item
	for _, old := range remove {
		if p.items[old.key] == old {
			p.drop(old)
			dropped = append(dropped, old)
		}
	}
	for _, i := range put {
		if old := p.items[i.key]; old != nil {
			i.order = old.order
			p.drop(old)
			dropped = append(dropped, old)
		} else if i.order == 0 {
			p.next++
			i.order = p.next
		}
		p.put(i)
	}
	return func() {
		for _, i := range put {
			p.drop(i)
		}
		for _, old := range dropped {
			p.put(old)
		}
	}
}

func (p *program) put(i *item) {
	p.items[i.key] = i
	if i.kind == header && len(i.names) == 0 {
		p.bare = append(p.bare, i)
	}
	for _, name := range i.names {
		p.named[name] = append(p.named[name], i)
	}
	for _, name := range i.uses {
		p.used[name] = append(p.used[name], i)
	}
}

func (p *program) drop(i *item) {
	delete(p.items, i.key)
	if n := slices.Index(p.bare, i); n >= 0 {
		p.bare = slices.Delete(p.bare, n, n+1)
	}
	for _, name := range i.names {
		remove(p.named, name, i)
	}
	for _, name := range i.uses {
		remove(p.used, name, i)
	}
}

func remove(index map[string][]*item, name string, gone *item) {
	list := index[name]
	if n := slices.Index(list, gone); n >= 0 {
		list = slices.Delete(list, n, n+1)
	}
	if index[name] = list; len(list) == 0 {
		delete(index, name)
	}
}

// sorted returns the items in their order.
func (p *program) sorted() []*item {
	return slices.SortedFunc(maps.Values(p.items), func(a, b *item) int { return a.order - b.order })
}

// headers is the text of the lines that includes need: everything that is a line of the
// preprocessor, up to the last include.
func (p *program) headers() (text string, last int) {
	for _, i := range p.items {
		if i.kind == include {
			last = max(last, i.order)
		}
	}
	if last == 0 {
		return "", 0
	}
	var b strings.Builder
	for _, i := range p.sorted() {
		if i.line && i.order <= last {
			b.WriteString(i.text)
		}
	}
	return b.String(), last
}

// preamble returns the declarations that a source with the given identifiers needs in front
// of it, those of includes apart. Items for which leave is true are not among them.
func (p *program) preamble(uses []string, leave func(*item) bool) string {
	_, last := p.headers()
	w := &preamble{program: p, leave: leave, last: last, state: map[*item]int{}}
	for _, i := range p.bare {
		w.item(i)
	}
	w.visit(uses)
	return w.forward.String() + w.text.String()
}

// preambleBare is preamble without lines for messages, for a language that has none.
func (p *program) preambleBare(uses []string, leave func(*item) bool) string {
	w := &preamble{program: p, leave: leave, state: map[*item]int{}, bare: true}
	for _, i := range p.bare {
		w.item(i)
	}
	w.visit(uses)
	return w.text.String()
}

// preamble is the making of one: items are written after those that they use.
type preamble struct {
	program       *program
	leave         func(*item) bool
	last          int
	state         map[*item]int // 1 under way, 2 written
	bare          bool          // without #line
	forward, text strings.Builder
}

func (w *preamble) visit(uses []string) {
	for _, name := range uses {
		for _, i := range w.program.named[name] {
			w.item(i)
		}
	}
}

func (w *preamble) item(i *item) {
	if w.state[i] != 0 || w.leave(i) || i.seen == "" || i.line && i.order <= w.last {
		return
	}
	if i.kind != header && slices.ContainsFunc(i.uses, w.underWay) {
		return // a type under way mentions its name, and it needs that type
	}
	w.state[i] = 1
	if tag, _, ok := strings.Cut(i.key, " "); ok && (tag == "struct" || tag == "union" || tag == "class") {
		w.forward.WriteString(i.key + ";\n")
	}
	if i.kind == header {
		w.visit(i.uses)
	} else {
		w.visit(i.needs)
	}
	w.state[i] = 2
	if i.kind == header && !i.line && !w.bare {
		w.text.WriteString("#line 1 \"" + strings.ReplaceAll(i.name, `"`, "") + "\"\n")
	}
	w.text.WriteString(strings.TrimSuffix(i.seen, "\n") + "\n")
}

// underWay says whether name means a type that is being written.
func (w *preamble) underWay(name string) bool {
	return slices.ContainsFunc(w.program.named[name], func(i *item) bool { return w.state[i] == 1 && i.kind == header })
}

// dependents returns the functions and variables, sorted by order, that see one of the
// items through their own text or that of types and macros.
func (p *program) dependents(changed []*item) []*item {
	seen := map[*item]bool{}
	var found []*item
	var from func(i *item)
	from = func(i *item) {
		for _, name := range i.names {
			for _, user := range p.used[name] {
				if seen[user] || user == i {
					continue
				}
				seen[user] = true
				if user.kind == header {
					from(user)
				} else {
					found = append(found, user)
					if slices.Contains(user.needs, name) {
						from(user) // its type is made from what changed, and so are its users
					}
				}
			}
		}
	}
	for _, i := range changed {
		from(i)
	}
	found = slices.DeleteFunc(found, func(i *item) bool { return slices.Contains(changed, i) })
	slices.SortFunc(found, func(a, b *item) int { return a.order - b.order })
	return found
}
