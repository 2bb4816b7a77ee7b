package livejit

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Event is one transaction that has ended, well or not: an Update or one of its short forms,
// the compile of a function at its first call, or the Close of a module. What it points to is
// shared by all who receive it and must not be changed.
type Event struct {
	Number    uint64    // from 1, in the order in which they ended; a gap is what a slow receiver has missed
	Time      time.Time // when it ended, before constructors have run
	Operation Operation
	Subjects  []string  // names of the sources, functions or the module it was about
	Verdicts  []Verdict // none if it failed otherwise than with a *RefusedError
	Duration  Stages
	Err       error // nil: it was published
}

// Operation is what a transaction was for.
type Operation uint8

const (
	OpUpdate      Operation = iota // several kinds of steps
	OpAdd                          // Engine.Add
	OpReplace                      // Engine.Replace, Update.ReplaceModule
	OpDelete                       // Engine.Delete
	OpInvalidate                   // Engine.Invalidate
	OpFirstCall                    // a function was compiled at its first call
	OpCloseModule                  // Module.Close
)

var operationNames = [...]string{"update", "add", "replace", "delete", "invalidate", "first call", "close module"}

func (o Operation) String() string { return operationNames[o] }

// MarshalText gives the operation's name.
func (o Operation) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// operationOf is what the steps of a transaction have in common.
func operationOf(steps []step) Operation {
	if len(steps) == 0 {
		return OpUpdate
	}
	for _, s := range steps[1:] {
		if s.kind != steps[0].kind {
			return OpUpdate
		}
	}
	return [...]Operation{addStep: OpAdd, replaceStep: OpReplace, deleteStep: OpDelete, invalidateStep: OpInvalidate}[steps[0].kind]
}

// subjectsOf names what a transaction was about.
func subjectsOf(steps []step) []string {
	var names []string
	for _, s := range steps {
		for _, source := range s.sources {
			names = append(names, source.name)
		}
		names = append(names, s.names...)
	}
	return names
}

// Subscription is a flow of events, until Close.
type Subscription struct {
	from *events
	c    chan Event
}

// Events returns what Engine.Update and its kin do from now on. The engine never waits for a
// receiver: buffer events may lie unread, and those that come while it is full are missed,
// which shows as a gap in their numbers. The channel is closed by Subscription.Close and when the
// engine is closed. Close must be called.
func (e *Engine) Events(buffer int) *Subscription {
	return e.events.subscribe(max(buffer, 1))
}

// C is where the events arrive, in the order of their numbers.
func (s *Subscription) C() <-chan Event { return s.c }

// Close ends the flow. Closing again does nothing.
func (s *Subscription) Close() { s.from.unsubscribe(s) }

// events hands events to subscriptions. Its lock is a leaf, and is held for sends that cannot
// block; a channel is closed under it too, so nothing is sent to a closed one.
type events struct {
	mu     sync.Mutex
	number uint64
	list   []*Subscription
	closed bool
}

func (v *events) subscribe(buffer int) *Subscription {
	s := &Subscription{from: v, c: make(chan Event, buffer)}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		close(s.c)
	} else {
		v.list = append(v.list, s)
	}
	return s
}

func (v *events) unsubscribe(s *Subscription) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.list, s); i >= 0 {
		v.list = slices.Delete(v.list, i, i+1)
		close(s.c)
	}
}

// wanted says whether anyone listens.
func (v *events) wanted() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.list) > 0
}

func (v *events) send(event Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.number++
	event.Number, event.Time = v.number, time.Now()
	for _, s := range v.list {
		select {
		case s.c <- event:
		default:
		}
	}
}

// close ends all subscriptions, for good.
func (v *events) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.list {
		close(s.c)
	}
	v.list, v.closed = nil, true
}

// report tells how a transaction has ended.
func (t *transaction) report(err error) {
	if !t.engine.events.wanted() {
		t.engine.events.skip()
		return
	}
	t.stages.Total = time.Since(t.start)
	event := Event{Operation: operationOf(t.steps), Subjects: subjectsOf(t.steps), Duration: t.stages, Err: err}
	if refused := (*RefusedError)(nil); err == nil || errors.As(err, &refused) {
		event.Verdicts = slices.Clone(t.changes.verdicts)
	}
	t.engine.events.send(event)
}

// skip counts an event that nobody wants.
func (v *events) skip() {
	v.mu.Lock()
	v.number++
	v.mu.Unlock()
}
