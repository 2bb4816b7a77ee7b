package livejit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"livejit/internal/epoch"
	"livejit/internal/stubtable"
	"livejit/internal/symtab"
	"livejit/internal/threads"
)

// Reclaiming frees what was retired, and has one authority: the engine's reclaimer. A piece is
// retired when no stub leads to it any more. It may be freed when no thread can be inside of
// it, no pin holds it, and nothing that is not freed with it refers to it.
//
// That no thread is inside is known in two ways. The epoch tells when every call from the host has
// ended that was inside when the piece was retired; that costs nothing. Where it does not
// tell, because a call goes on for long or native code has threads of its own, the stacks and
// registers of the threads inside are looked at (package threads): a thread at which no
// address in the piece was found once after it was retired cannot come to have one, for the
// only ways into code are slots, which lead elsewhere. A stub that is freed waits for the
// epoch in any case, since Go code may be about to enter by it.
//
// Order in memory: the slot is stored before the epoch is read and before the signals are sent
// (both sequentially consistent), so who is inside after that has read the new slot.

const (
	scanLimit    = 20 * time.Millisecond // that a thread may take to answer
	eagerPieces  = 256                   // retired pieces that make an updater look at stacks itself
	eagerBytes   = 1 << 20               // of them
	sweepFirst   = 20 * time.Millisecond // after which the sweeper looks the first time
	sweepLast    = time.Second
	quiesceFirst = 100 * time.Microsecond
	quiesceLast  = 10 * time.Millisecond
)

// reclaimer is the part of an engine that frees what was retired.
type reclaimer struct {
	running sync.Mutex // one at a time; taken before Engine.mu

	// Guarded by Engine.mu.
	retired  []*piece
	stubs    []retiredStub
	bytes    uint64 // of retired pieces
	freed    uint64 // pieces, in all
	scans    uint64
	sweeping bool
	failed   error // of the memory manager
	stop     chan struct{}
	done     sync.WaitGroup
}

// retiredStub is a stub that nothing leads to any more but a thread on its way.
type retiredStub struct {
	stub  stubtable.Stub
	epoch uint64
}

// retire takes a piece that no stub leads to any more out of its module. The engine is
// locked.
func (e *Engine) retire(p *piece) {
	p.module.drop(p)
	e.tellRetired(p)
	p.Retired = true
	p.epoch = e.gate.Epoch()
	p.place = int32(len(e.retired))
	e.retired = append(e.retired, p)
	for _, s := range p.spans {
		e.bytes += s.Size
	}
	e.hook("retired " + p.name)
}

// retireStub retires the stub of a function that nothing refers to.
func (e *Engine) retireStub(s *symtab.Symbol) {
	e.reclaimer.stubs = append(e.reclaimer.stubs, retiredStub{stubOf(s), e.gate.Epoch()})
	s.Stub, s.Slot, s.Addr = 0, 0, 0
}

// effort is how hard to try to free.
type effort uint8

const (
	glance effort = iota // what the epoch allows
	search               // look at stacks, too
)

// reclaimSome frees what can be freed after a transaction: at once what no call can be
// inside of; and when much is waiting, or under LIVEJIT_STRESS, after a look at the stacks. A
// sweeper sees to the rest.
func (e *Engine) reclaimSome() {
	how := glance
	e.mu.Lock()
	if len(e.retired) >= eagerPieces || e.bytes >= eagerBytes || e.config.stress {
		how = search
	}
	e.mu.Unlock()
	e.reclaim(how)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.sweeping && e.waiting() > 0 && !e.closed {
		e.sweeping = true
		e.done.Go(e.sweep)
	}
}

// waiting returns how much is retired. The engine is locked.
func (e *Engine) waiting() int { return len(e.retired) + len(e.reclaimer.stubs) }

// sweep frees what is retired, looking ever more seldom, until nothing is left.
func (e *Engine) sweep() {
	wait := sweepFirst
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-timer.C:
		}
		freed := e.reclaim(search)
		e.mu.Lock()
		if e.waiting() == 0 {
			e.sweeping = false
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		if wait = min(2*wait, sweepLast); freed > 0 {
			wait = sweepFirst
		}
		timer.Reset(wait)
	}
}

// reclaim frees what it can and returns how much.
func (e *Engine) reclaim(how effort) (freed int) {
	e.running.Lock()
	defer e.running.Unlock()
	for {
		e.mu.Lock()
		if e.closed || e.waiting() == 0 {
			e.mu.Unlock()
			return freed
		}
		b := e.batch(how)
		e.mu.Unlock()
		if b.empty() {
			return freed
		}
		e.hook("scan")
		b.scan()
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return freed
		}
		e.hook("free")
		n := e.free(b)
		if n > 0 {
			e.tellDebugger()
		}
		e.mu.Unlock()
		if freed += n; n == 0 {
			return freed
		}
	}
}

// batch is what one round of reclaiming looks at.
type batch struct {
	pieces  []*piece
	stubs   []retiredStub
	suspect []threads.Range  // ranges to look for on stacks, sorted
	owners  []*piece         // of each range; nil: the stub at its start
	holders []threads.Holder // of each range
	clean   bool             // nothing has to be looked for
}

func (b *batch) empty() bool { return len(b.pieces)+len(b.stubs) == 0 }

// batch chooses what to look at. The engine is locked.
func (e *Engine) batch(how effort) *batch {
	for range epoch.Grace {
		e.gate.Advance()
	}
	now := e.gate.Epoch()
	native := threads.Native() > 0
	b := &batch{clean: !native}
	if e.profiled() {
		return b
	}
	for _, p := range e.retired {
		passed := p.epoch+epoch.Grace <= now
		switch {
		case unpinned: // built for a test that wants to see it fail
		case passed && !native:
		case how == search:
			b.clean = false
		default:
			continue
		}
		b.pieces = append(b.pieces, p)
	}
	for _, s := range e.reclaimer.stubs {
		if s.epoch+epoch.Grace <= now && (how == search || !native) {
			b.stubs = append(b.stubs, s)
		}
	}
	if b.clean || unpinned {
		b.clean = true
		return b
	}
	e.scans++
	for _, p := range b.pieces {
		if p.epoch+epoch.Grace <= now && !native {
			continue // nobody can be inside
		}
		for _, s := range p.spans {
			b.suspect = append(b.suspect, threads.Range{Lo: s.RX, Hi: s.RX + max(s.Size, 1)})
			b.owners = append(b.owners, p)
		}
	}
	if native {
		for _, s := range b.stubs {
			b.suspect = append(b.suspect, threads.Range{Lo: s.stub.Addr, Hi: s.stub.Addr + stubtable.StubSize})
			b.owners = append(b.owners, nil)
		}
	}
	b.sort()
	return b
}

// sort orders the ranges by address.
func (b *batch) sort() {
	order := make([]int, len(b.suspect))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case b.suspect[i].Lo < b.suspect[j].Lo:
			return -1
		case b.suspect[i].Lo > b.suspect[j].Lo:
			return 1
		}
		return 0
	})
	suspect, owners := make([]threads.Range, len(order)), make([]*piece, len(order))
	for to, from := range order {
		suspect[to], owners[to] = b.suspect[from], b.owners[from]
	}
	b.suspect, b.owners = suspect, owners
}

// scan looks at the stacks. The engine is not locked: threads that are looked at may want
// the lock.
func (b *batch) scan() {
	if b.clean || len(b.suspect) == 0 {
		return
	}
	holders, err := threads.Scan(b.suspect, scanLimit)
	if err != nil {
		holders = make([]threads.Holder, len(b.suspect))
		for i := range holders {
			holders[i] = threads.Holder{Thread: -1, Reason: err.Error()}
		}
	}
	b.holders = holders
}

// free frees what nothing holds of a batch and returns how much that was. The engine is
// locked.
func (e *Engine) free(b *batch) int {
	held := make(map[*symtab.Version]bool)
	heldStubs := make(map[uint64]bool)
	for i, h := range b.holders {
		if h.Thread == 0 {
			continue
		}
		if p := b.owners[i]; p != nil {
			held[&p.Version] = true
		} else {
			heldStubs[b.suspect[i].Lo] = true
		}
	}
	mine := make(map[*symtab.Version]bool, len(b.pieces))
	for _, p := range b.pieces {
		if p.pins > 0 {
			held[&p.Version] = true
		}
		mine[&p.Version] = true
	}
	var spread []*symtab.Version // held, or not looked at: what they refer to is held as well
	for _, p := range e.retired {
		if v := &p.Version; held[v] || !mine[v] {
			spread = append(spread, v)
		}
	}
	for len(spread) > 0 {
		v := spread[len(spread)-1]
		spread = spread[:len(spread)-1]
		hold := func(w *symtab.Version) {
			if w != nil && mine[w] && !held[w] {
				held[w] = true
				spread = append(spread, w)
			}
		}
		for _, h := range v.Holds() {
			hold(h)
		}
		for _, r := range v.Refs() {
			s := r.Symbol
			if s.Alias != nil {
				s = s.Alias
			}
			if s.Kind != symtab.Func { // a function is reached by its stub
				hold(s.Current)
			}
		}
	}
	freed := 0
	for _, p := range b.pieces {
		if !held[&p.Version] {
			e.release(p)
			freed++
		}
	}
	for _, s := range b.stubs {
		if heldStubs[s.stub.Addr] {
			continue
		}
		i := slices.Index(e.reclaimer.stubs, s)
		e.reclaimer.stubs = slices.Delete(e.reclaimer.stubs, i, i+1)
		delete(e.missing, s.stub.Addr)
		e.stubs.Free(s.stub)
		freed++
	}
	return freed
}

// release gives back a retired piece: its unwind tables, memory and references.
func (e *Engine) release(p *piece) {
	last := len(e.retired) - 1
	e.retired[p.place] = e.retired[last]
	e.retired[p.place].place = p.place
	e.retired[last] = nil
	e.retired = e.retired[:last]
	e.freed++
	e.region.Remove(p.starts...)
	e.tellFreed(p)
	e.dropPatchpoints(p)
	for _, s := range p.spans {
		e.bytes -= s.Size
		if e.config.keepConstants && s.Kind == ReadOnlyMemory && p.bytes.ReadOnly > 0 && !p.module.closed { // not only unwind tables
			p.module.constants = append(p.module.constants, s)
			continue
		}
		e.freeSpan(s)
	}
	p.Forget(e.unneeded, func(v *symtab.Version) {
		if q := e.pieces[v.ID]; q != nil && &q.Version == v && !q.Retired && !q.stays && q.current == 0 {
			e.retire(q)
		}
	})
	e.freePiece(p)
	if m := p.module; m.closed {
		if m.remaining--; m.remaining == 0 {
			e.finish(m)
		}
	}
}

// freeSpan gives memory back. What the memory manager says to it is kept for Close.
func (e *Engine) freeSpan(s Span) {
	if err := e.memory.Free(s); err != nil {
		e.failed = errors.Join(e.failed, err)
	}
}

// releaseAll frees everything that is retired. No native code is running.
func (e *Engine) releaseAll() {
	for len(e.retired) > 0 {
		e.release(e.retired[len(e.retired)-1])
	}
	for _, s := range e.reclaimer.stubs {
		e.stubs.Free(s.stub)
	}
	e.reclaimer.stubs = nil
}

// Quiesce waits until every version that was replaced or deleted so far has been freed, or
// ctx ends; then a *QuiescenceError says what is still alive and why. The stubs of deleted
// functions (24 bytes each) may take until the calls have ended that are under way.
func (e *Engine) Quiesce(ctx context.Context) error {
	wait := quiesceFirst
	for {
		e.reclaim(search)
		e.mu.Lock()
		left, closed := len(e.retired), e.closed
		e.mu.Unlock()
		if closed {
			return ErrClosed
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return e.whyWaiting(ctx.Err())
		case <-time.After(wait):
			wait = min(2*wait, quiesceLast)
		}
	}
}

// QuiescenceError says why something had to wait for a thread longer than its context
// allowed.
type QuiescenceError struct {
	Function string // the function, with its version if it was replaced
	Thread   int    // system identifier of a thread that is inside; 0: none was found
	Reason   string // what else holds it
	Err      error  // of the context
}

func (e *QuiescenceError) Error() string {
	s := fmt.Sprintf("%s is still in use", e.Function)
	if e.Thread != 0 {
		s += fmt.Sprintf(" by thread %d", e.Thread)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return fmt.Sprintf("%s (%v)", s, e.Err)
}

// Unwrap returns the context's error.
func (e *QuiescenceError) Unwrap() error { return e.Err }

// whyWaiting explains what is still retired.
func (e *Engine) whyWaiting(err error) error {
	roots := e.roots(nil)
	if len(roots) == 0 {
		return &QuiescenceError{Function: "a retired version", Reason: "a call that began before has not ended", Err: err}
	}
	r := roots[0]
	return &QuiescenceError{Function: r.title, Thread: r.Thread, Reason: r.String(), Err: err}
}
