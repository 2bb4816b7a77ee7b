package livejit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Update collects the steps of one transaction; see Engine.Update. It is for the function
// that was given it, and of no use afterwards.
type Update struct {
	steps      []step
	quiescent  bool
	migrations map[string]Migration
	silent     bool // nobody reads verdicts of what is added
}

// Migration carries the value of a variable over to storage of another size or type: old is
// what the variable holds now, new its new storage, which has the new initialiser. It runs
// under the engine's lock, must not call the engine, and must not keep the slices. What code
// that is running writes to the old storage meanwhile and afterwards is lost, unless the
// transaction is quiescent.
type Migration func(old, new []byte) error

// step is one thing a transaction does.
type step struct {
	kind    stepKind
	sources []Source
	module  *Module // of a whole new version
	names   []string
	force   bool
}

type stepKind uint8

const (
	addStep stepKind = iota
	replaceStep
	deleteStep
	invalidateStep
)

// Add loads sources as one new module, as Engine.Add does.
func (u *Update) Add(sources ...Source) {
	u.steps = append(u.steps, step{kind: addStep, sources: sources})
}

// Replace puts the definitions of sources in the place of those of the same name, and adds
// those that are new; see Engine.Replace.
func (u *Update) Replace(sources ...Source) {
	u.steps = append(u.steps, step{kind: replaceStep, sources: sources})
}

// ReplaceModule makes sources the whole new version of m: what they do not define any more
// is deleted. The rest is as with Replace.
func (u *Update) ReplaceModule(m *Module, sources ...Source) {
	u.steps = append(u.steps, step{kind: replaceStep, sources: sources, module: m})
}

// Delete removes functions and variables; see Engine.Delete.
func (u *Update) Delete(names ...string) {
	u.steps = append(u.steps, step{kind: deleteStep, names: names})
}

// ForceDelete removes functions that others still refer to: calls of them end with a
// *DeletedError until a function of that name is defined again.
func (u *Update) ForceDelete(names ...string) {
	u.steps = append(u.steps, step{kind: deleteStep, names: names, force: true})
}

// Invalidate unloads the machine code of functions; see Engine.Invalidate.
func (u *Update) Invalidate(names ...string) {
	u.steps = append(u.steps, step{kind: invalidateStep, names: names})
}

// Quiescent has the transaction published at a moment when no thread is inside any of the
// functions that it replaces or deletes, as a caller or deeper: all switch together, and no
// old version goes on beside a new one. Update waits for such a moment until its context
// ends.
func (u *Update) Quiescent() { u.quiescent = true }

// Migrate gives the transaction a way to change the size or type of a variable, which is
// refused otherwise. Everything that refers to the variable must be replaced in the same
// transaction. For a table of virtual functions (_ZTV...) f is not called:
// naming it says that no object of the class lives, so that the table may change.
func (u *Update) Migrate(variable string, f Migration) {
	if u.migrations == nil {
		u.migrations = make(map[string]Migration)
	}
	u.migrations[variable] = f
}

// Outcome is what became of one function or variable.
type Outcome uint8

const (
	Added       Outcome = iota + 1 // it is new
	Replaced                       // there is a new version of it
	Unchanged                      // its code or value is what it was: nothing was done
	Kept                           // a variable keeps its value, or a definition yields to one of another module
	Removed                        // it is deleted
	Invalidated                    // its machine code is gone, the next call compiles it again
	Refused                        // it cannot be done; the transaction failed for it
)

var outcomeNames = [...]string{"", "added", "replaced", "unchanged", "kept", "removed", "invalidated", "refused"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// MarshalText gives the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Verdict says what a transaction did with one function or variable.
type Verdict struct {
	Module   string  `json:"module"`
	Function string  `json:"function"` // name of the function or variable
	Variable bool    `json:"variable"`
	Version  int     `json:"version"` // that is current now; 0 if there is none
	Outcome  Outcome `json:"outcome"`
	Reason   string  `json:"reason"` // in one line, where there is something to say
}

// String returns the verdict in one line: "replaced f@3", "refused state: it grew from 24 to
// 32 bytes". C++ names are as in the source.
func (v Verdict) String() string {
	s := v.Outcome.String() + " " + Demangle(v.Function)
	if v.Version > 0 && !v.Variable {
		s += fmt.Sprintf("@%d", v.Version)
	}
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	return s
}

// Result is what a transaction did.
type Result struct {
	Verdicts []Verdict `json:"verdicts"` // one for each function and variable it was about
	Modules  []*Module `json:"-"`        // that it added, in the order of the steps
	Duration Stages    `json:"duration"`
}

// Verdict returns the verdict about a function or variable, and whether there is one.
func (r *Result) Verdict(name string) (Verdict, bool) {
	i := slices.IndexFunc(r.Verdicts, func(v Verdict) bool { return v.Function == name })
	if i < 0 {
		return Verdict{}, false
	}
	return r.Verdicts[i], true
}

// Update does all that f asks for as one transaction, or nothing: it compiles and links
// aside while the program runs on, and then publishes. After an error the engine is as it
// was: a *CompileError, *FormatError, *UndefinedError, *DuplicateError, *RelocationError or
// *MemoryError as with Add; a *RefusedError if a change is not possible while the program
// runs, an *InUseError if something to be deleted is referred to; joined where there are
// several. An error of f is returned as it is. On a *RefusedError the result is there, too,
// with all verdicts.
//
// Publishing switches one function after the other, each atomically: a thread may run an old
// caller of a new callee for a moment, and activations that are under way finish as the code
// they began as. New functions come first, so a caller never meets a callee that is not
// there. Quiescent publishing switches all together. Old versions are freed when no thread
// is inside them any more; see Function.WhyAlive and Engine.Quiesce.
//
// Several transactions may run at a time, each against what is published at the end of the
// other. Constructors of modules that were added run before Update returns; if one fails its
// module is closed again, while the rest stays.
func (e *Engine) Update(ctx context.Context, f func(*Update) error) (*Result, error) {
	u := &Update{}
	if err := f(u); err != nil {
		return nil, err
	}
	return e.update(ctx, u)
}

// Replace puts the definitions of sources in the place of those of the same name that are
// loaded, whatever module they are in, and adds those that are new. Callers, function
// pointers and vtables reach the new versions from then on.
//
// Only functions whose code differs are compiled and replaced; a change of lines only is
// none. Variables keep their address and their value: a changed initialiser is reported and
// has no effect, a changed size, type or layout (where there is debug information) is
// refused, see Update.Migrate. Constants are replaced for the functions that are. A function
// of another type is refused as long as others refer to it that are not replaced in the same
// transaction. New names, and static functions and variables, belong to the module that the
// source was loaded as (it has the same name), else to that of the first function
// it replaces, else to a new one. Of the constructors in sources those run that are new, and for C++ the
// initialisers of single variables that are new; none runs again. Verdicts in the result
// say what became of each function and variable. Errors are those of Update.
func (e *Engine) Replace(ctx context.Context, sources ...Source) (*Result, error) {
	return e.Update(ctx, func(u *Update) error { u.Replace(sources...); return nil })
}

// Delete removes functions and variables by name: a global name, or "module:name" for one
// that is local to a module. It refuses with an *InUseError, which names the referrers, as
// long as others refer to one of them. Code and data are freed when no thread is inside or
// holds their address. A function that is deleted may be defined again.
func (e *Engine) Delete(ctx context.Context, names ...string) error {
	_, err := e.Update(ctx, func(u *Update) error { u.Delete(names...); return nil })
	return err
}

// Invalidate unloads the machine code of functions: at once if no thread can be inside,
// else as soon as none is. The next call, from whatever thread, compiles the function again
// from the IR that it was loaded from, and continues. Errors: ErrNotFound, and a
// *RefusedError for functions that came as machine code.
func (e *Engine) Invalidate(names ...string) error {
	_, err := e.Update(context.Background(), func(u *Update) error { u.Invalidate(names...); return nil })
	return err
}

// RefusedError reports a change that cannot be made while the program runs. The engine is
// as it was.
type RefusedError struct {
	Name      string   // the function or variable
	Reason    string   // in one line
	Referrers []string // who stands in the way, if it is that
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("refused %s: %s", e.Name, e.Reason)
	if len(e.Referrers) > 0 {
		s += ": " + joinSome(e.Referrers, 4)
	}
	return s
}

// check refuses steps that make no sense.
func (u *Update) check() error {
	var errs []error
	for _, s := range u.steps {
		switch {
		case s.kind <= replaceStep && len(s.sources) == 0:
			errs = append(errs, errors.New("livejit: Add or Replace without a source"))
		case s.kind > replaceStep && slices.ContainsFunc(s.names, func(n string) bool { return strings.TrimSpace(n) == "" }):
			errs = append(errs, errors.New("livejit: Delete or Invalidate of an empty name"))
		}
	}
	return join(errs...)
}
