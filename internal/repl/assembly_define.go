package repl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// definitions are what an input in IR defines.
type definitions struct {
	items        []*item
	constructors []string // functions of llvm.global_ctors, which run when they are defined
	debug        bool     // debug information was dropped
}

// definitions makes items of text, which comes from a file or the input.
func (a *assembly) definitions(text, from string) (*definitions, error) {
	d := &definitions{}
	list := entities(text)
	for n := range list {
		e := &list[n]
		if kept := withoutDebug(e.tokens); len(kept) < len(e.tokens) {
			d.debug = true
			e.rewrite(kept)
		}
	}
	used := map[string]bool{} // outside of debug information
	for _, e := range list {
		if e.word == "metadata" {
			continue
		}
		for _, n := range assemblyNames(e.text) {
			used[n] = n != e.name || used[n]
		}
	}
	keepMetadata(list, used)
	renamed := a.renamed(list, used, from)
	for _, e := range list {
		i, err := e.item(d, used, renamed)
		if err != nil {
			return nil, err
		}
		if i != nil {
			i.from = from
			i.uses, i.needs = assemblyNames(i.text), assemblyNames(i.seen)
			d.items = append(d.items, i)
		}
	}
	return d, nil
}

// keepMetadata marks the metadata that what is used leads to.
func keepMetadata(list []entity, used map[string]bool) {
	for again := true; again; {
		again = false
		for _, e := range list {
			if e.word != "metadata" || !used[e.name] {
				continue
			}
			for _, n := range assemblyNames(e.text) {
				again = again || !used[n]
				used[n] = true
			}
		}
	}
}

// renamed gives what is private to one module (attribute groups, numbered metadata, private and internal
// definitions) another name, where the program has another one of this name from somewhere else, which
// stays as it is for those that use it.
func (a *assembly) renamed(list []entity, used map[string]bool, from string) map[string]string {
	names, taken := map[string]string{}, map[string]bool{}
	for _, e := range list {
		taken[e.name] = true
	}
	for _, e := range list {
		old := a.program.items[itemKey(e.name)]
		if old == nil || old.text == e.text || old.from == from || !e.private() || e.word == "metadata" && !used[e.name] {
			continue
		}
		if name := a.given[from+" "+e.name]; name != "" { // the file was loaded before
			names[e.name] = name
			continue
		}
		number, err := strconv.Atoi(e.name[1:])
		base := e.name[:1]
		if err != nil {
			base, number = e.name+".", 1
		}
		name := base + strconv.Itoa(number)
		for ; taken[name] || a.program.items[itemKey(name)] != nil; number++ {
			name = base + strconv.Itoa(number)
		}
		names[e.name], taken[name] = name, true
		a.given[from+" "+e.name] = name
	}
	return names
}

// private says whether the definition is for its own module only.
func (e entity) private() bool {
	switch e.word {
	case "attributes", "metadata":
		return true
	case "define", "global":
		for _, t := range e.tokens[:min(4, len(e.tokens))] {
			if t.text == "private" || t.text == "internal" {
				return true
			}
		}
	}
	return false
}

// itemKey is the key of the item of a name: the symbol of a global, else the name.
func itemKey(name string) string {
	if strings.HasPrefix(name, "@") {
		return name[1:]
	}
	return name
}

// item makes the item of one definition; nil if it says nothing at the prompt.
func (e entity) item(d *definitions, used map[string]bool, renamed map[string]string) (*item, error) {
	if len(renamed) > 0 {
		tokens := slices.Clone(e.tokens)
		for n, t := range tokens {
			if t.sigil() == 0 {
				continue
			}
			if to := renamed[canonical(t.text)]; to != "" {
				tokens[n].text = to[:1] + quotedName(to[1:])
			}
		}
		e.rewrite(tokens)
	}
	name := e.name
	if to := renamed[name]; to != "" {
		name = to
	}
	i := &item{key: name, kind: header, name: name, names: []string{name}}
	switch e.word {
	case "define", "declare":
		return i, e.functionItem(i)
	case "global":
		return e.variableItem(i, d)
	case "type":
		i.text = e.rewritten(e.tokens)
	case "attributes":
		i.text = e.rewritten(e.tokens)
	case "metadata":
		if !used[e.name] {
			return nil, nil // of debug information, or said of a whole module
		}
		i.text = e.rewritten(e.tokens)
	case "target", "source_filename", "comdat", "uselistorder", "uselistorder_bb", "summary":
		return nil, nil // LLVM has judged the target
	case "alias":
		return nil, fmt.Errorf("%s: an alias belongs into the module of what it stands for, and here every definition has its own: define a function that calls it", e.name)
	case "module":
		return nil, fmt.Errorf("module asm defines what cannot be told: assemble it, and :load the object")
	default:
		return nil, fmt.Errorf("%s is no definition", firstLine(e.text))
	}
	i.seen, i.defined = i.text, true
	return i, nil
}

func (e entity) functionItem(i *item) error {
	n := e.function()
	if n < 0 {
		return fmt.Errorf("%s: a function without a name", firstLine(e.text))
	}
	types, end := parameters(e.tokens, n+1)
	i.kind, i.symbol = function, unquoted(i.key)
	i.key, i.name = i.symbol, i.symbol
	i.about = typeBefore(e.tokens, n) + " (" + types + ")"
	kept := e.exported(n)
	i.text = e.rewritten(kept)
	i.defined = e.word == "define"
	var seen []token
	for _, t := range kept {
		// Behind the parameters only what callers have to know.
		if t.begin < e.tokens[end-1].end() || t.depth == e.tokens[0].depth && (t.sigil() == '#' || t.text == "returns_twice") {
			seen = append(seen, t)
		}
	}
	seen[0].text = "declare"
	i.seen = spaced(seen)
	return nil
}

// spaced is the text of tokens with a space where one was, or where something was left out.
func spaced(tokens []token) string {
	var b strings.Builder
	for n, t := range tokens {
		if n > 0 && (tokens[n-1].text == "declare" || tokens[n-1].end() < t.begin) {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

func (e entity) variableItem(i *item, d *definitions) (*item, error) {
	word := slices.IndexFunc(e.tokens, func(t token) bool { return t.text == "global" || t.text == "constant" })
	if word < 0 || word+1 >= len(e.tokens) {
		return nil, fmt.Errorf("%s: neither a global nor a constant", firstLine(e.text))
	}
	i.kind, i.symbol = variable, unquoted(i.key)
	i.key, i.name = i.symbol, i.symbol
	switch i.symbol {
	case "llvm.global_ctors":
		for _, t := range e.tokens[1:] {
			if t.sigil() == '@' {
				d.constructors = append(d.constructors, t.text)
			}
		}
		return nil, nil
	case "llvm.used", "llvm.compiler.used":
		return nil, nil
	case "llvm.global_dtors":
		return nil, fmt.Errorf("@llvm.global_dtors: there is no end at which destructors could run; call atexit")
	}
	i.constant = e.tokens[word].text == "constant"
	var end int
	i.about, end = typeAt(e.tokens, word+1)
	i.defined = !slices.ContainsFunc(e.tokens[:word], func(t token) bool { return t.text == "external" || t.text == "extern_weak" })
	words := []string{e.tokens[0].text, "=", "external"}
	for _, t := range e.tokens[2:word] {
		switch {
		case t.text == "extern_weak":
			words[2] = t.text
		case !slices.Contains(local, t.text) && t.text != "unnamed_addr" && t.text != "local_unnamed_addr" && t.text != "externally_initialized":
			words = append(words, t.text)
		}
	}
	i.seen = strings.Join(append(words, e.tokens[word].text, i.about), " ")
	for n := end; n+1 < len(e.tokens); n++ {
		if e.tokens[n].text == "align" && e.tokens[n].depth == e.tokens[0].depth {
			i.seen += ", align " + e.tokens[n+1].text
		}
	}
	i.text = e.rewritten(e.exported(word))
	if !i.defined {
		i.text = i.seen
	}
	return i, nil
}

// initialiser is the initial value in the text of a variable.
func initialiser(text string) string {
	tokens, _ := scanAssembly(text)
	for n, t := range tokens {
		if t.text != "global" && t.text != "constant" {
			continue
		}
		_, begin := typeAt(tokens, n+1)
		end := begin
		for end < len(tokens) && (tokens[end].text != "," || tokens[end].depth > 0) {
			end++
		}
		if begin < end {
			return text[tokens[begin].begin:tokens[end-1].end()]
		}
	}
	return "zeroinitializer"
}

func sortedKeys(m map[string]bool) []string {
	var list []string
	for k, ok := range m {
		if ok {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}
