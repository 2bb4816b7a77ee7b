// Which frames of JIT code stand on the stack of a thread that is in a callback, for those who look for pointers in them. See walk.go.
#include "landing.h"
#include "../unwind/lj_unwind.h"

#include <cstdlib>

#pragma GCC visibility push(hidden)
extern "C" {
// lj_walk_from calls f(arg), with the frame of callback c in the place of its own for unwinders; lj_walk_origin is that call's return address.
void lj_walk_from(lj_callback *c, void (*f)(void *), void *arg);
extern char lj_walk_origin[];
}
#pragma GCC visibility pop

namespace {

constexpr int dwarf_rbx = 3, dwarf_rbp = 6; // System V AMD64 psABI, figure 3.36

struct Walk {
	lj_walk *out;
	uintptr_t pc; // of the last frame
	bool begun, entered, failed;
};

bool note(lj_walk *out, const lj_walk_frame &f) {
	if (out->n == out->capacity) {
		uint64_t capacity = out->capacity ? 2 * out->capacity : 64;
		void *p = realloc(reinterpret_cast<void *>(out->frames), capacity * sizeof f);
		if (!p)
			return false;
		out->frames = reinterpret_cast<uint64_t>(p);
		out->capacity = capacity;
	}
	reinterpret_cast<lj_walk_frame *>(out->frames)[out->n++] = f;
	return true;
}

_Unwind_Reason_Code step(_Unwind_Context *context, void *arg) {
	Walk *w = static_cast<Walk *>(arg);
	int before = 0;
	w->pc = _Unwind_GetIPInfo(context, &before);
	if (!w->begun) {
		w->begun = w->pc == reinterpret_cast<uintptr_t>(lj_walk_origin);
		return _URC_NO_REASON;
	}
	w->entered = w->pc == reinterpret_cast<uintptr_t>(lj_enter_return);
	if (w->entered)
		return _URC_END_OF_STACK;
	uintptr_t start;
	if (!lj_unwind_find(w->pc - !before, &start))
		return _URC_NO_REASON;
	// What the unwinder calls the CFA of a frame is that of the frame it has called.
	w->failed = !note(w->out, {w->pc, _Unwind_GetCFA(context), _Unwind_GetGR(context, dwarf_rbp), _Unwind_GetGR(context, dwarf_rbx)});
	return w->failed ? _URC_END_OF_STACK : _URC_NO_REASON;
}

void backtrace(void *arg) {
	_Unwind_Backtrace(step, arg);
	asm volatile(""); // no tail call: the unwinder begins with this frame
}

} // namespace

int lj_walk_stack(lj_walk *out) {
	uintptr_t mark = out->next ? out->next : lj_thread_state.callback;
	if (!mark)
		return LJ_WALK_OUTSIDE;
	if (mark % 16 == LJ_MISS_MARK)
		return LJ_WALK_MISS;
	lj_callback *c = reinterpret_cast<lj_callback *>(mark);
	lj_landing *l = reinterpret_cast<lj_landing *>(c->landing);
	// Frames below an interrupted call of foreign code do not go on, but the way to the entry leads through them. No interrupt comes while Go runs.
	bool hijacked = l && l->slot && reinterpret_cast<uintptr_t>(l->slot) > mark && *l->slot == reinterpret_cast<uintptr_t>(lj_hijacked);
	if (hijacked)
		*l->slot = l->slot_pc;
	Walk w = {out, 0, false, false, false};
	lj_walk_from(c, backtrace, &w);
	if (hijacked)
		*l->slot = reinterpret_cast<uintptr_t>(lj_hijacked);
	out->pc = w.pc;
	out->next = l ? l->outside.callback : c->outer;
	if (w.failed)
		return LJ_WALK_NO_MEMORY;
	if (w.entered || (!l && w.pc == 0)) // back at an entry, or at the start of a thread
		return LJ_WALK_DONE;
	return l ? LJ_WALK_STUCK : LJ_WALK_ENDS;
}
