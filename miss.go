package livejit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"livejit/internal/guard"
	"livejit/internal/symtab"
)

// miss is called when native or Go code calls a function that has no machine code: its stub leads to
// package guard's miss entry, which has kept the arguments. It returns where the call goes
// on: at the stub again, and not at a body, which could be replaced and freed before the thread gets
// there. An error ends the guarded call that the thread is in.
//
// Many threads may come for one function at the same time: the first compiles, the others
// wait. Nobody holds the engine's lock while something compiles.
func (e *Engine) miss(stub uint64) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if e.closed {
			return 0, ErrClosed
		}
		s := e.missing[stub]
		if s == nil {
			found, ok := e.stubs.At(stub)
			if ok && e.stubs.Target(found) != e.stubs.Miss(found) {
				return stub, nil // it has a body by now
			}
			return 0, &DeletedError{Name: fmt.Sprintf("at %#x", stub)}
		}
		if s.State == symtab.Deleted || s.State == symtab.Outdated && (s.Origin == nil || s.Stub == 0) {
			return 0, &DeletedError{Name: s.Name}
		}
		if f := e.compiling[s]; f != nil {
			e.mu.Unlock()
			<-f.done
			e.mu.Lock()
			if f.err != nil {
				return 0, f.err
			}
			continue
		}
		f := &flight{done: make(chan struct{})}
		e.compiling[s] = f
		e.mu.Unlock()
		f.err = e.materialise(s)
		e.mu.Lock()
		delete(e.compiling, s)
		close(f.done)
		if f.err != nil {
			return 0, f.err
		}
	}
}

// flight is one compile of a function that others may wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// materialise gives a pending function machine code.
func (e *Engine) materialise(s *symtab.Symbol) error {
	e.mu.Lock()
	from, _ := s.Origin.(*origin)
	// A pending function without an origin is an indirect one: its version is that of its resolver.
	if s.State != symtab.Pending && s.State != symtab.Outdated || s.Current != nil && from != nil {
		e.mu.Unlock()
		return nil // somebody else has done it, or it is deleted
	}
	body := s.Body
	e.mu.Unlock()
	if from == nil {
		return e.resolveIFunc(s, body)
	}
	t := &transaction{engine: e, start: time.Now()}
	err := from.use(context.Background(), func(p *part) error {
		p.step = &step{kind: replaceStep}
		p.module = s.Owner.(*Module)
		p.first = s
		t.parts = []*part{p}
		return t.commit(context.Background())
	})
	for _, p := range t.parts {
		p.release()
	}
	if errors.Is(err, errSettled) {
		return nil // the stub is looked at again
	}
	t.stages.Total = time.Since(t.start)
	e.events.send(Event{Operation: OpFirstCall, Subjects: []string{s.Name}, Duration: t.stages, Err: err})
	if err != nil && !errors.Is(err, ErrClosed) {
		return fmt.Errorf("first call of %s: %w", s.Name, err)
	}
	return err
}

// errSettled says that a function whose first call is being served got machine code
// meanwhile, was deleted, or is to be compiled from another source: what was compiled for the
// call is an older version, which must not be published over the newer one.
var errSettled = errors.New("livejit: another transaction has settled what the first call needed")

// neededBy says whether s is to be compiled from p, at its first call. The engine is locked.
func (p *part) neededBy(s *symtab.Symbol) bool {
	return s.Stub != 0 && s.Current == nil && (s.State == symtab.Pending || s.State == symtab.Outdated) && s.Origin == symtab.Origin(p.origin)
}

// resolveIFunc calls the resolver of an indirect function, at its first call, and makes its
// stub lead to what it returns (gABI extension STT_GNU_IFUNC).
func (e *Engine) resolveIFunc(s *symtab.Symbol, resolver uint64) error {
	frame := guard.GetFrame(0)
	defer frame.Put()
	frame.Fn = resolver
	pin := e.gate.Enter()
	defer e.gate.Exit(pin)
	if err := guard.Call(frame); err != nil {
		return e.callError("resolver of "+s.Name, context.Background(), err)
	}
	if frame.RetInt[0] == 0 {
		return fmt.Errorf("resolver of %s returned no function", s.Name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.State == symtab.Pending && s.Stub != 0 {
		s.State = symtab.Loaded
		delete(e.missing, s.Stub)
		e.stubs.Redirect(stubOf(s), frame.RetInt[0])
	}
	return nil
}
