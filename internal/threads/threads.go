// Package threads finds out which threads hold addresses of code: so code of replaced functions can be freed once nobody does, and published while nobody runs.
//
// # Which threads
//
// Those that may have frames of native code:
//
//   - threads of Go's runtime inside a guarded entry (package guard), also while they run a Go callback that native code has called, nested at any
//     depth; the edge keeps struct lj_thread_state for that (lj_threads.h);
//   - threads that native code has started, from their start to the end of their exit handlers. This package defines pthread_create and thrd_create
//     in the executable, which takes the place of libc's for all libraries of the process; a thread counts as native unless runtime/cgo asks for it.
//     The end is seen by a pthread key: the one with the highest number, whose destructor runs last in the last round;
//   - threads that libc starts inside itself to notify (SIGEV_THREAD). Loaded code gets functions of this package for those of libc that do so
//     ([Symbols]). Those of timers and message queues become native threads; after the first use of the others (aio, getaddrinfo_a), and of clone,
//     scans look for unknown tasks in /proc/self/task, too.
//
// # How a thread is looked at
//
// It gets a signal, and its handler looks at the general registers, at the red zone and at the words from the stack pointer up to the outermost
// native frame. If Go runs in a callback, the words from the callback's saved registers on are looked at instead of the goroutine's stack. Words that
// look like an address count as one. A handler on an alternate stack is looked at together with what it has interrupted. Nothing is assumed of a
// thread that cannot be looked at: it holds everything. That is one which does not answer in time, as all its signals are blocked; one on a stack
// that libc does not know (a coroutine); Go code called by native code through cgo instead of a callback of guard, when there are native frames.
// After makecontext nothing can be known any more, since suspended stacks lie anywhere: everything is held.
//
// Not seen are: stacks that are switched by code of its own and are not running; threads in signal handlers of native code when the interrupted
// thread has no entry; addresses of bodies kept in memory other than stacks. Programs cannot get the latter but from their own program counter:
// addresses of functions are stubs.
//
// # Why threads need not be stopped together
//
// The caller has redirected all stubs before. From then on nobody can newly arrive in the old code, so a thread in which nothing was found stays so:
// it does not matter that others run on while it is looked at. The order of memory accesses that this needs is written down in scan.c. [Stop] is for
// changes of several slots that nobody must see half done.
//
// # The signal
//
// A real-time signal, chosen at the first scan: the highest one up to SIGRTMAX-2 that has no handler but Go's. It is checked before each scan and
// installed anew if Go has replaced it (os/signal.Ignore), another is chosen if somebody else has. Instances that do not come from a scan are handed
// on to the former handler. Loaded code's sigfillset leaves it out, as libc's does with its own. The handler restarts system calls (SA_RESTART).
// Those which never restart (poll, select, epoll_wait, and others that signal(7) lists) return EINTR to native code, as for any profiler: scan only
// when there is need.
//
// # Fork
//
// A child has only the thread that forked, and so has its registry.
//
// # Locks
//
// scanning (Go): one scan at a time; the registry's and the table of notices' (C): leaves, held for a few instructions. While threads are held,
// neither is taken, nor memory allocated.
package threads

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultLimit is the time in which threads must answer if the caller gives none.
const DefaultLimit = 100 * time.Millisecond

// Range is a range of code addresses, [Lo, Hi). The word Hi is found, too: a call that does not return may be the last instruction, and its return
// address is Hi.
type Range struct{ Lo, Hi uint64 }

// Store is an aligned 8-byte store in release order.
type Store struct{ Address, Value uint64 }

// Holder tells who holds an address in a range. The zero Holder: nobody does.
type Holder struct {
	Thread  int    // number of the thread; 0: nobody
	Address uint64 // the word that was found; 0 if Reason is set
	Reason  string // why the thread could not be looked at, so that it counts as holding everything
}

// Held tells whether the range must be kept.
func (h Holder) Held() bool { return h.Thread != 0 }

func (h Holder) String() string {
	switch {
	case h.Thread == 0:
		return "nobody"
	case h.Reason != "":
		return fmt.Sprintf("thread %d, which %s", h.Thread, h.Reason)
	}
	return fmt.Sprintf("thread %d, at %#x", h.Thread, h.Address)
}

// Error says why no thread could be looked at.
type Error struct {
	Op, Msg string
}

func (e *Error) Error() string { return "threads: " + e.Op + ": " + e.Msg }

// scanning admits one scan at a time: the C side of a scan belongs to one thread.
var scanning sync.Mutex

// Scan says for each range (sorted by Lo, not overlapping, not empty) which thread holds an address in it. The calling thread is looked at as well.
// Before, the caller must have seen to it that no thread can newly get an address in the ranges. Threads that do not answer within limit (0:
// [DefaultLimit]) hold everything. Safe for concurrent use; calls wait for each other. The error is an [*Error]: the system has no signal or memory
// left.
func Scan(ranges []Range, limit time.Duration) ([]Holder, error) {
	_, holders, err := scan("scan", ranges, nil, false, limit)
	return holders, err
}

// Stop holds all threads with native frames still and looks at them; if nobody holds an address in the ranges it performs the stores and reports
// true. It always lets the threads go on; they are held for limit (0: [DefaultLimit]) at most. Threads that begin an entry meanwhile wait before
// native code runs. So native code sees all stores or none. If a thread cannot be looked at, it could not be held either, and no store is made;
// without ranges the only holder is that thread. Else holders is as for [Scan].
func Stop(ranges []Range, stores []Store, limit time.Duration) (done bool, holders []Holder, err error) {
	for _, s := range stores {
		if s.Address%8 != 0 {
			panic(fmt.Sprintf("BUG: threads: store to %#x", s.Address))
		}
	}
	return scan("stop", ranges, stores, true, limit)
}

func scan(op string, ranges []Range, stores []Store, stop bool, limit time.Duration) (bool, []Holder, error) {
	for i, r := range ranges {
		if r.Lo >= r.Hi || i > 0 && r.Lo < ranges[i-1].Hi {
			panic(fmt.Sprintf("BUG: threads: %s: range %d, %#x-%#x, is empty or not behind the one before", op, i, r.Lo, r.Hi))
		}
	}
	if limit <= 0 {
		limit = DefaultLimit
	}
	found := make([]found, len(ranges)+1) // and a thread that could not be looked at
	scanning.Lock()
	result := scanNative(ranges, found, stores, stop, limit)
	scanning.Unlock()
	switch result {
	case noSignal:
		return false, nil, &Error{op, "every real-time signal of the process has a handler"}
	case noMemory:
		return false, nil, &Error{op, "no memory"}
	}
	if len(ranges) > 0 || found[0].thread == 0 {
		found = found[:len(ranges)]
	}
	holders := make([]Holder, len(found))
	var reason string // of the last thread that could not be looked at; ranges mostly share it
	var reasonOf struct{ thread, answer int64 }
	for i, f := range found {
		holders[i] = Holder{Thread: int(f.thread), Address: f.address}
		if f.thread == 0 || f.address != 0 {
			continue
		}
		if reasonOf.thread != f.thread {
			reasonOf.thread, reasonOf.answer = f.thread, f.answer
			reason = reasonText(int(f.thread), answer(f.answer))
		}
		holders[i].Reason = reason
	}
	return result == clear, holders, nil
}

// found is what the C side tells of a range: struct lj_holder.
type found struct {
	thread  int64
	address uint64
	answer  int64
}

// answer is enum lj_answer.
type answer int

func reasonText(thread int, a answer) string {
	switch a {
	case noAnswer:
		if blocks(thread, signalNumber()) {
			return "has the signal of scans blocked"
		}
		return "did not answer in time"
	case looked:
		return "ended its look late" // its address was not there yet when the time was over
	case otherStack:
		return "runs on a stack that is not its own, with native frames somewhere"
	case unreadable:
		return "has a stack that cannot be read"
	case queueFull:
		return "cannot get a signal since the limit of queued ones is reached (RLIMIT_SIGPENDING)"
	case contexts:
		return "has made stacks of its own (makecontext)"
	case crowd:
		return "shares the process with unknown threads that keep starting"
	}
	return fmt.Sprintf("gave answer %d", a)
}

// blocks tells whether a thread has a signal blocked, for reports.
func blocks(thread, signal int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", thread))
	if err != nil {
		return false // it has ended
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "SigBlk:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			return err == nil && mask>>(signal-1)&1 != 0
		}
	}
	return false
}
