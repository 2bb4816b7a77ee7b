package livejit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"livejit/internal/symtab"
	"livejit/internal/threads"
)

// busyError says which thread keeps a quiescent transaction waiting.
type busyError struct {
	symbol string
	thread int
	reason string
}

var errBusy = errors.New("livejit: a function to be changed is being executed")

func (e *busyError) Error() string { return errBusy.Error() }
func (e *busyError) Unwrap() error { return errBusy }

// storeQuiescent changes the slots while all threads are held that could be inside of the
// functions, if none is.
func (t *transaction) storeQuiescent(changed []redirection) error {
	stores := make([]threads.Store, len(changed))
	for i, r := range changed {
		stores[i] = threads.Store{Address: r.symbol.Slot, Value: r.target}
	}
	ranges, names := t.codeOfChanged()
	done, holders, err := threads.Stop(ranges, stores, scanLimit)
	if err != nil || done {
		return err
	}
	if err := busyWith(ranges, holders, names); err != nil {
		return err
	}
	return errBusy
}

// lookQuiescent says whether a thread is inside of what is to be changed, so that nothing
// has to be linked to find out. That none is does not last.
func (t *transaction) lookQuiescent() error {
	ranges, names := t.codeOfChanged()
	holders, err := threads.Scan(ranges, scanLimit)
	if err != nil {
		return err
	}
	return busyWith(ranges, holders, names)
}

// codeOfChanged returns where the code lies of functions that are replaced, deleted or
// invalidated, old versions that were not freed yet included, and whose it is.
func (t *transaction) codeOfChanged() (ranges []threads.Range, names map[uint64]string) {
	e := t.engine
	names = make(map[uint64]string)
	add := func(p *piece, name string) {
		for _, s := range p.spans {
			if s.Kind == CodeMemory && names[s.RX] == "" {
				ranges = append(ranges, threads.Range{Lo: s.RX, Hi: s.RX + s.Size})
				names[s.RX] = name
			}
		}
	}
	changed := make(map[*symtab.Symbol]bool)
	for s := range t.changes.replaced {
		changed[s] = true
	}
	for _, list := range [...][]*symtab.Symbol{t.changes.invalid, t.changes.removed} {
		for _, s := range list {
			changed[s] = true
		}
	}
	for s := range changed {
		if s.Kind == symtab.Func && s.Current != nil {
			add(e.pieces[s.Current.ID], s.Name)
		}
	}
	for _, p := range e.retired {
		if p.Symbol != nil && changed[p.Symbol] {
			add(p, p.versionName())
		}
	}
	slices.SortFunc(ranges, func(a, b threads.Range) int { return cmp.Compare(a.Lo, b.Lo) })
	return ranges, names
}

// busyWith returns the error that names the first thread found in a range, nil if none was.
func busyWith(ranges []threads.Range, holders []threads.Holder, names map[uint64]string) error {
	for i, h := range holders {
		if !h.Held() {
			continue
		}
		e := &busyError{thread: h.Thread, reason: h.Reason}
		if i < len(ranges) {
			e.symbol = names[ranges[i].Lo]
		}
		return e
	}
	return nil
}

// waiting is how long a quiescent transaction waits before it looks again.
type waiting time.Duration

const (
	firstWait = waiting(50 * time.Microsecond)
	lastWait  = waiting(5 * time.Millisecond)
)

// sleep waits, a little longer each time, or until ctx ends.
func (w *waiting) sleep(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(*w))
	defer timer.Stop()
	*w = min(2**w, lastWait)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stillBusy says who was in the way when the context of a quiescent transaction ended.
func stillBusy(why, ended error) error {
	var busy *busyError
	if errors.As(why, &busy) {
		return &QuiescenceError{Function: busy.symbol, Thread: busy.thread, Reason: busy.reason, Err: ended}
	}
	return ended
}
