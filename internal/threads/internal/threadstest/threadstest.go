// Package threadstest has native threads that keep addresses in all kinds of places, for the tests of package threads.
package threadstest

/*
#cgo CXXFLAGS: -std=c++17 -O2 -fno-omit-frame-pointer -Wall -Wextra
#cgo LDFLAGS: -lstdc++ -lpthread -lrt
#include <stdlib.h>
#include "subjects.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// Where an [Actor] keeps its address.
const (
	Stack    = int(C.STACK)
	Register = int(C.REGISTER)
	Vector   = int(C.VECTOR)
	RedZone  = int(C.RED_ZONE)
	Counter  = int(C.COUNTER)
)

// How it waits meanwhile.
const (
	Spin    = int(C.SPIN)
	Sleep   = int(C.SLEEP)
	Read    = int(C.READ)
	Blocked = int(C.BLOCKED)
)

// On what thread, and at what time of its life.
const (
	Pthread     = int(C.PTHREAD)
	StdThread   = int(C.STD_THREAD)
	Detached    = int(C.DETACHED)
	C11         = int(C.C11)
	ThreadLocal = int(C.THREAD_LOCAL)
	Key         = int(C.KEY)
	LastKey     = int(C.LAST_KEY)
	Cancelled   = int(C.CANCELLED)
	Exited      = int(C.EXITED)
	Alternate   = int(C.ALTERNATE)
	Interrupted = int(C.INTERRUPTED)
	Context     = int(C.CONTEXT)
)

// Actor is a thread that keeps an address (stage 1) and then does not (stage 2).
type Actor struct{ p *C.struct_actor }

// Start starts an actor.
func Start(launch, place, pause int, address uint64) Actor {
	return Actor{C.actor_start(C.int(launch), C.int(place), C.int(pause), C.uint64_t(^address))}
}

// New makes an actor without a thread, for notifications.
func New(address uint64) Actor {
	a := Actor{(*C.struct_actor)(C.calloc(1, C.sizeof_struct_actor))}
	a.p.masked = C.uint64_t(^address)
	return a
}

// Stage returns the actor's stage.
func (a Actor) Stage() int { return int(a.p.stage) }

// Await waits until the actor has come to a stage.
func (a Actor) Await(stage int) {
	for a.Stage() < stage {
		time.Sleep(50 * time.Microsecond)
	}
}

// AwaitExactly waits until the actor is in a stage.
func (a Actor) AwaitExactly(stage int) {
	for a.Stage() != stage {
		time.Sleep(50 * time.Microsecond)
	}
}

// Thread is the number of its thread.
func (a Actor) Thread() int { return int(a.p.tid) }

// Go lets it leave stage n.
func (a Actor) Go(n int) { C.actor_go(a.p, C.int(n)) }

// Cancel cancels its thread.
func (a Actor) Cancel() { C.actor_cancel(a.p) }

// End joins its thread and frees it.
func (a Actor) End() { C.actor_end(a.p) }

// Free frees an actor of [New].
func (a Actor) Free() { C.free(unsafe.Pointer(a.p)) }

// KeepAndCall is the address of void keep_and_call(masked, fn, arg, after, arg2).
func KeepAndCall() uint64 { return uint64(uintptr(C.keep_and_call)) }

// KeepAndWait is the address of void keep_and_wait(masked, *stage, *go).
func KeepAndWait() uint64 { return uint64(uintptr(C.keep_and_wait)) }

// ActAtEnd is the address of void act_at_end(Actor).
func ActAtEnd() uint64 { return uint64(uintptr(C.act_at_end)) }

// Address is for ActAtEnd.
func (a Actor) Address() uint64 { return uint64(uintptr(unsafe.Pointer(a.p))) }

// Back is what PlainBack calls.
var Back func(arg uint64)

//export threadstestBack
func threadstestBack(arg C.uint64_t) { Back(uint64(arg)) }

// PlainBack is the address of void plain_back(arg), which calls Back by cgo without package guard.
func PlainBack() uint64 { return uint64(uintptr(C.plain_back)) }

// SlotRound is the address of void slot_round(*Slot, time).
func SlotRound() uint64 { return uint64(uintptr(C.slot_round)) }

// ReadCells is the address of void read_cells(*Reader, rounds).
func ReadCells() uint64 { return uint64(uintptr(C.read_cells)) }

// PlacedCode is where an actor's loop lies that keeps its address in the program counter. It is 16 bytes long.
func PlacedCode() uint64 { return uint64(C.placed_code()) }

// Words allocates zeroed memory that is not Go's and stays.
func Words(n int) []uint64 { return unsafe.Slice((*uint64)(C.calloc(C.size_t(n), 8)), n) }

// Slot has a counter that tells by its last two bits whether a thread keeps its address: 0 none, 2 one does, 1 and 3 in between. One thread at a time
// may use a slot.
type Slot struct{ p *C.struct_slot }

// NewSlot makes a slot.
func NewSlot(address uint64) Slot {
	s := Slot{(*C.struct_slot)(C.calloc(1, C.sizeof_struct_slot))}
	s.p.masked = C.uint64_t(^address)
	return s
}

// Counter reads the counter.
func (s Slot) Counter() uint64 { return uint64(s.p.counter) }

// Address is for SlotRound.
func (s Slot) Address() uint64 { return uint64(uintptr(unsafe.Pointer(s.p))) }

// Thread starts a thread that keeps and drops the address a number of times, and then ends. time is as for slot_round.
func (s Slot) Thread(time, rounds int) bool {
	return C.slot_thread(s.p, C.int(time), C.int(rounds)) == 0
}

// Free frees it.
func (s Slot) Free() { C.free(unsafe.Pointer(s.p)) }

// Running is the number of threads of slots and readers that have not ended.
func Running() int { return int(C.slots_running()) }

// Reader reads cells that always change together.
type Reader struct{ p *C.struct_reader }

// NewReader makes a reader of cells in memory that is not Go's.
func NewReader(cells []uint64, stop *uint64) Reader {
	r := Reader{(*C.struct_reader)(C.calloc(1, C.sizeof_struct_reader))}
	r.p.cells = (*C.uint64_t)(unsafe.Pointer(&cells[0]))
	r.p.ncells = C.int(len(cells))
	r.p.stop = (*C.int)(unsafe.Pointer(stop))
	return r
}

// Thread reads on a thread of its own.
func (r Reader) Thread() bool { return C.reader_thread(r.p) == 0 }

// Address is for ReadCells.
func (r Reader) Address() uint64 { return uint64(uintptr(unsafe.Pointer(r.p))) }

// Rounds is how often it has read all cells, and how often a cell was older than the one read before.
func (r Reader) Rounds() (rounds, bad uint64) { return uint64(r.p.rounds), uint64(r.p.bad) }

// Free frees it.
func (r Reader) Free() { C.free(unsafe.Pointer(r.p)) }

// Retire is what threads that run bodies of code and one that frees them share.
type Retire struct{ Slot, Retired, Bad, Rounds uint64 }

// NewRetire makes one in memory that is not Go's.
func NewRetire() *Retire { return (*Retire)(C.calloc(1, C.sizeof_struct_retire)) }

// Free frees it.
func (r *Retire) Free() { C.free(unsafe.Pointer(r)) }

// Thread starts a thread that runs bodies until stop is not 0.
func (r *Retire) Thread(stop *uint64) bool {
	return C.retire_thread((*C.struct_retire)(unsafe.Pointer(r)), (*C.int)(unsafe.Pointer(stop))) == 0
}

// RetireRounds is the address of void retire_rounds(*Retire, rounds, time).
func RetireRounds() uint64 { return uint64(uintptr(C.retire_rounds)) }

// Timer starts a timer whose expiry lets a act on a thread of libc's.
func (a Actor) Timer(create uintptr) (timer uint64, errno int) {
	var t C.uint64_t
	e := C.timer_start(C.uint64_t(create), a.p, &t)
	return uint64(t), int(e)
}

// TimerEnd deletes it.
func TimerEnd(remove uintptr, timer uint64) int {
	return int(C.timer_end(C.uint64_t(remove), C.uint64_t(timer)))
}

// Queue makes a message queue and sends a message, whose arrival lets a act on a thread of libc's. Returns errno.
func (a Actor) Queue(notify uintptr) int { return int(C.queue_start(C.uint64_t(notify), a.p)) }

// AIO starts a read whose end lets a act on a thread of libc's.
func (a Actor) AIO(read uintptr) int { return int(C.aio_start(C.uint64_t(read), a.p)) }

// ForkCount forks and returns what count returns in the child.
func ForkCount(count uintptr) int { return int(C.fork_count(C.uint64_t(count))) }

// Fills tells whether a sigfillset function includes a signal.
func Fills(fill uintptr, signal int) bool {
	return C.sigset_has(C.uint64_t(fill), C.int(signal)) != 0
}

// ContextRun calls a function with 8 arguments on a stack of its own, through a makecontext function; 204 if they arrived.
func ContextRun(makecontext uintptr) int { return int(C.context_run(C.uint64_t(makecontext))) }

// CloneRun makes a process through a clone function; 42 if it ran.
func CloneRun(clone uintptr) int { return int(C.clone_run(C.uint64_t(clone))) }

// UseSignal installs a native handler.
func UseSignal(n int) { C.use_signal(C.int(n)) }

// RaiseHere sends a signal to the calling thread.
func RaiseHere(n int) { C.raise_here(C.int(n)) }
