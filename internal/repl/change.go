package repl

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
)

// change makes items part of the program and removes others, in one transaction. What
// depends on them is compiled again. u is the translation that defines the new ones; nil if
// they need none.
func (s *Session) change(ctx context.Context, put, gone []*item, u *unit) error {
	before, err := s.transact(ctx, put, gone, u)
	if before != nil {
		s.record(before)
	}
	return err
}

// restore brings items back as they were, and removes others.
func (s *Session) restore(ctx context.Context, put, gone []*item) error {
	undo := s.program.apply(put, gone)
	err := s.lang.refresh(ctx)
	undo()
	if err == nil {
		_, err = s.transact(ctx, put, gone, nil)
	}
	if err != nil {
		return errors.Join(err, s.lang.refresh(ctx))
	}
	return nil
}

// transact is change without the record of what was before, which it returns; nil if nothing changed.
func (s *Session) transact(ctx context.Context, put, gone []*item, u *unit) (map[string]*item, error) {
	before := map[string]*item{}
	for _, i := range put {
		if old := s.program.items[i.key]; old != nil && !i.defined && old.defined && old.about == i.about {
			return nil, nil // declaring again what is defined says nothing
		}
	}
	gone = append(slices.Clone(gone), s.displaced(put)...)
	for _, i := range put {
		before[i.key] = s.program.items[i.key]
	}
	for _, i := range gone {
		before[i.key] = i
	}
	changed := s.visible(put, before)
	for _, i := range gone {
		// Who calls a function that is deleted stays what it is: the call is an error.
		if i.kind != function || len(put) > 0 {
			changed = append(changed, i)
		}
	}

	undo := s.program.apply(put, gone)
	t := &transaction{session: s, before: before, put: put, gone: gone, former: map[string]*item{}}
	if u != nil {
		t.sources = append(t.sources, u.source)
	} else {
		for _, i := range put {
			if i.defined && (i.kind == function || i.kind == variable || i.code || i.lambda) {
				t.again(ctx, i)
			}
		}
	}
	everyone := slices.DeleteFunc(slices.Clone(changed), func(i *item) bool {
		overload := s.config.Lang == "c++" && i.kind == function
		return before[i.key] == nil && !i.line && !s.missing[i.symbol] && !overload
	})
	affected := s.program.dependents(everyone)
	for _, i := range s.program.dependents(changed) {
		// Who mentions a name that meant nothing before means something else, or was broken.
		if i.defined && !slices.Contains(put, i) && (i.broken != "" || slices.Contains(affected, i)) {
			t.again(ctx, i)
		}
	}
	err := t.commit(ctx)
	if err != nil {
		undo()
		return nil, err
	}
	// What was compiled again has another verdict about whether it compiles.
	s.program.apply(t.replaced, nil)
	t.report()
	return before, t.settle(ctx)
}

// displaced returns the items that lose their name to another kind of thing.
func (s *Session) displaced(put []*item) []*item {
	var list []*item
	for _, i := range put {
		for _, name := range i.names {
			for _, old := range s.program.named[name] {
				if old.key != i.key && !slices.Contains(list, old) && s.collide(old, i) {
					list = append(list, old)
				}
			}
		}
	}
	return list
}

// collide says whether both items cannot be at once. Tags are names of their own in C, functions may
// share a name in C++, and what is only mentioned in a namespace is not the item's own.
func (s *Session) collide(a, b *item) bool {
	if a.code || b.code || a.line != b.line || strings.HasPrefix(a.key, "declaration of ") || strings.HasPrefix(b.key, "declaration of ") {
		return false
	}
	functions := func(i *item) bool {
		return i.kind == function || strings.HasPrefix(i.key, "FunctionTemplate ") || strings.HasPrefix(i.key, "function ")
	}
	if s.config.Lang == "c++" {
		return !functions(a) || !functions(b)
	}
	return ordinary(a, b) && ordinary(b, a)
}

// ordinary says whether a has a name that is not a tag and means b, too.
func ordinary(a, b *item) bool {
	for _, name := range a.names {
		tag := a.kind == header && strings.HasSuffix(a.key, " "+name) && !strings.HasPrefix(a.key, "typedef ")
		if !tag && slices.Contains(b.names, name) {
			return true
		}
	}
	return false
}

// visible returns those of the new items that others may have to be compiled for again.
func (s *Session) visible(put []*item, before map[string]*item) []*item {
	var list []*item
	for _, i := range put {
		old := before[i.key]
		if old == nil || old.about != i.about || (i.kind == header || i.constant) && old.text != i.text || !old.defined && i.defined || old.broken != "" {
			list = append(list, i)
		}
	}
	return list
}

// record remembers what was there before a change, for undoing it.
func (s *Session) record(before map[string]*item) {
	for key, old := range before {
		s.history[key] = append(s.history[key], old)
		if n := len(s.history[key]); n > undoDepth {
			s.history[key] = slices.Delete(s.history[key], 0, n-undoDepth)
		}
	}
	s.made++
	s.changes = append(s.changes, change{before})
	if n := len(s.changes); n > undoDepth {
		s.changes = slices.Delete(s.changes, 0, n-undoDepth)
	}
}

// undoDepth is how many changes can be taken back, of the session and of one definition.
const undoDepth = 100

// transaction is one change on its way into the engine.
type transaction struct {
	session   *Session
	before    map[string]*item
	put, gone []*item
	sources   []livejit.Source
	replaced  []*item          // compiled again, as they are now
	former    map[string]*item // as they were
	broken    []*item          // of them, those that do not compile
	result    *livejit.Result
}

// again compiles an item that depends on what changes.
func (t *transaction) again(ctx context.Context, i *item) {
	now := *i
	now.broken = ""
	if !slices.Contains(t.put, i) {
		t.former[i.key] = i
	}
	u, err := t.session.lang.translate(ctx, i.text, i.name, func(other *item) bool { return other.key == i.key })
	if err != nil {
		now.broken = strings.TrimSpace(fmt.Sprintf("%+v", err))
		t.broken = append(t.broken, &now)
	} else {
		for _, d := range u.declarations {
			if d.Symbol == i.symbol {
				now.layout = d.Layout
			}
		}
		t.sources = append(t.sources, u.source)
	}
	t.replaced = append(t.replaced, &now)
}

// commit has the engine do it. Functions that are used and not defined are made missing.
func (t *transaction) commit(ctx context.Context) error {
	s := t.session
	var drop, broken []string
	for _, i := range t.gone {
		if i.symbol != "" && i.defined && i.broken == "" {
			drop = append(drop, i.symbol)
		}
	}
	for _, i := range t.broken {
		if old := s.program.items[i.key]; i.kind == function && old.broken == "" {
			broken = append(broken, i.symbol)
		}
	}
	if len(t.sources) == 0 && len(drop)+len(broken) == 0 {
		return nil
	}
	begin := time.Now()
	defer func() { s.spent.engine += time.Since(begin) }()
	first, rest := t.sources, []livejit.Source(nil)
	if len(first) > 1 && slices.ContainsFunc(t.put, func(i *item) bool { return i.code || i.lambda }) {
		first, rest = first[:1], first[1:] // each defines it, and one at a time may
	}
	err := s.linking(ctx, func() error {
		var err error
		t.result, err = s.engine.Update(ctx, func(u *livejit.Update) error {
			if len(first) > 0 {
				u.Replace(first...)
			}
			if len(drop)+len(broken) > 0 {
				u.ForceDelete(append(drop, broken...)...)
			}
			for _, i := range slices.Concat(t.put, t.replaced) {
				if i.kind == variable && i.defined && i.broken == "" {
					u.Migrate(i.symbol, func(old, new []byte) error { return nil })
				}
			}
			return nil
		})
		if err == nil {
			s.spent.swap += t.result.Duration.Link
			for _, v := range t.result.Verdicts {
				if v.Outcome == livejit.Added {
					delete(s.missing, v.Function)
				}
			}
			for _, name := range slices.Concat(drop, broken) {
				s.missing[name] = true
			}
		}
		return err
	})
	for _, source := range rest {
		if err == nil {
			err = s.linking(ctx, func() error {
				more, err := s.engine.Replace(ctx, source)
				if err == nil {
					t.result.Verdicts = append(t.result.Verdicts, more.Verdicts...)
				}
				return err
			})
		}
	}
	return err
}

// linking does what links code. For functions that are used but not defined yet it makes
// entries, a call of which is an error, and tries again.
func (s *Session) linking(ctx context.Context, link func() error) error {
	err := link()
	var undefined *livejit.UndefinedError
	if !errors.As(err, &undefined) {
		return err
	}
	var made []string
	for _, u := range undefined.Symbols {
		unit, failed := s.lang.entry(ctx, u.Symbol)
		if failed == nil && unit == nil {
			failed = fmt.Errorf("%s is declared but not defined", livejit.Demangle(u.Symbol))
		}
		if failed == nil {
			_, failed = s.engine.Replace(ctx, unit.source)
		}
		if failed != nil {
			err = failed
			break
		}
		made = append(made, u.Symbol)
		err = nil
	}
	if err == nil {
		err = link()
	}
	if len(made) == 0 {
		return err
	}
	if err != nil {
		return errors.Join(err, s.engine.Delete(ctx, made...))
	}
	for _, name := range made {
		s.missing[name] = true
		if i := s.program.items[name]; i != nil && i.broken != "" {
			continue // that was said
		}
		s.note("%s is not defined yet: a call of it is an error", livejit.Demangle(name))
	}
	_, err = s.engine.Update(ctx, func(u *livejit.Update) error { u.ForceDelete(made...); return nil })
	return err
}

func (s cFamily) entry(ctx context.Context, symbol string) (*unit, error) {
	i := s.program.items[symbol]
	text := "int " + symbol + "() { __builtin_trap(); }"
	switch {
	case i != nil && i.kind == function && i.seen != "":
		text = strings.TrimSuffix(strings.TrimSpace(i.seen), ";") + " { __builtin_trap(); }"
	case i != nil || s.config.Lang != "c":
		return nil, nil
	}
	return s.compile(ctx, text, symbol, func(i *item) bool { return i.symbol == symbol })
}

// report says what became of the definitions.
func (t *transaction) report() {
	s := t.session
	var again []string
	for _, i := range t.replaced {
		if v, ok := t.verdict(i); ok && i.broken == "" && !slices.ContainsFunc(t.put, func(p *item) bool { return p.key == i.key }) && v.Outcome != livejit.Unchanged && v.Outcome != livejit.Kept {
			again = append(again, i.name)
		}
	}
	for _, i := range t.put {
		old := t.before[i.key]
		switch {
		case i.kind == variable && i.defined && old != nil && old.defined:
			t.value(i, old)
		case i.kind == function && i.defined:
			if v, ok := t.verdict(i); ok {
				s.talk("%s", v)
			}
		case i.lambda && old != nil && old.defined:
			t.session.note("%s begins anew: every lambda has a type of its own", i.name)
		case old != nil && old.text == i.text:
			s.talk("unchanged %s", i.name)
		case old != nil:
			s.talk("replaced %s", i.name)
		case i.defined:
			s.talk("added %s", i.name)
		default:
			s.talk("declared %s", i.name)
		}
	}
	for _, i := range t.gone {
		s.talk("removed %s", i.name)
	}
	if len(again) > 0 {
		s.note("compiled again: %s", strings.Join(again, ", "))
	}
	for _, i := range t.broken {
		s.note("%s", i.broken)
		if i.kind == variable {
			s.note("%s does not compile any more: it stays what it was until it is defined again", i.name)
		} else {
			s.note("%s does not compile any more: a call of it is an error until it is defined again", i.name)
		}
	}
	for _, i := range t.replaced {
		if i.kind == variable && i.broken == "" && !i.constant && t.reset(i) {
			s.note("%s begins anew: its type changed", i.name)
		}
	}
}

// value says what a variable that was defined again holds.
func (t *transaction) value(i, old *item) {
	switch {
	case i.constant && old.constant && old.about == i.about:
		t.session.talk("replaced %s", i.name)
	case t.reset(i):
		t.session.note("%s begins anew: its type changed", i.name)
	case old.text != i.text:
		t.session.note("%s keeps its value: its type is the same", i.name)
	default:
		t.session.talk("%s keeps its value", i.name)
	}
}

func (t *transaction) verdict(i *item) (livejit.Verdict, bool) {
	if t.result == nil {
		return livejit.Verdict{}, false
	}
	return t.result.Verdict(i.symbol)
}

// reset says whether a variable of the transaction lost its value, or has to, because what
// it holds means something else now.
func (t *transaction) reset(i *item) bool {
	v, ok := t.verdict(i)
	return ok && (v.Outcome == livejit.Replaced || t.reinterpreted(i))
}

// reinterpreted says whether the bytes of a variable stayed and mean something else.
func (t *transaction) reinterpreted(i *item) bool {
	old := t.before[i.key]
	if former := t.former[i.key]; former != nil {
		old = former
	}
	v, ok := t.verdict(i)
	return ok && old != nil && old.defined && v.Outcome != livejit.Replaced && v.Outcome != livejit.Added && !sameLayout(old.layout, i.layout)
}

// sameLayout says whether bytes mean the same in both. What pointers point to does not matter.
func sameLayout(a, b *clang.Layout) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	for _, l := range []*clang.Layout{&x, &y} {
		if l.Kind == "pointer" || l.Kind == "string" {
			l.Element = nil
		}
	}
	return reflect.DeepEqual(x, y)
}

// settle gives variables that begin anew their initial value, where the engine kept the
// bytes, and makes those assignments again that C's initialisers became.
func (t *transaction) settle(ctx context.Context) error {
	for _, i := range slices.Concat(t.put, t.replaced) {
		if i.kind != variable || i.broken != "" {
			continue
		}
		if t.reinterpreted(i) {
			if err := t.session.lang.initialise(ctx, i); err != nil {
				return err
			}
		}
		if i.init != "" && t.reset(i) && slices.Contains(t.replaced, i) {
			if err := t.session.lang.initialise(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s cFamily) initialise(ctx context.Context, i *item) error {
	a := assignment{i.name, i.init, i.layout != nil && i.layout.Kind == "array"}
	if i.init == "" {
		a.value, a.array = "{0}", true
		if _, after, ok := strings.Cut(i.text, "="); ok {
			a.value = strings.TrimSuffix(strings.TrimSpace(after), ";")
		}
	}
	return s.statement(ctx, a.statement(), i.name)
}
