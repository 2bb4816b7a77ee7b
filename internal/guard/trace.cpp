// Where a thread is inside of native code: its program counters, noted without memory or locks, also from signal handlers and for stacks that are broken.
#include "landing.h"
#include "../unwind/lj_unwind.h"

#include <csetjmp>
#include <cstring>

extern "C" const void *_Unwind_Find_FDE(void *pc, void *bases);

namespace {

// Set while a trace reads what may not be there: a fault then ends the trace (lj_trace_fault).
__thread sigjmp_buf *reading __attribute__((tls_model("initial-exec")));

struct Trace {
	lj_report *report;
	uintptr_t end;    // the entry's stack pointer: frames from there on are not native code's
	uintptr_t frames; // nothing below is of interest: the frames of the handler
	bool begun;
};

void note(lj_report *r, uintptr_t pc) {
	if (r->ntrace < LJ_TRACE)
		r->trace[r->ntrace++] = pc;
	else
		r->flags |= LJ_CUT_SHORT;
}

_Unwind_Reason_Code step(_Unwind_Context *context, void *arg) {
	Trace *t = static_cast<Trace *>(arg);
	int before = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &before);
	if (!t->begun) { // first come the handler's own frames; what it has interrupted is known by its exact program counter
		if (!before && t->frames == 0)
			return _URC_NO_REASON;
		t->begun = true;
		if (before)
			t->frames = 0;
	}
	if (pc == reinterpret_cast<uintptr_t>(lj_enter_return) || _Unwind_GetCFA(context) >= t->end || (t->report->flags & LJ_CUT_SHORT))
		return _URC_END_OF_STACK;
	if (pc != reinterpret_cast<uintptr_t>(lj_hijacked))
		note(t->report, pc);
	return _URC_NO_REASON;
}

// By frame pointers, where there is no unwind information: hand-written assembly, a smashed frame.
void follow_frame_pointers(lj_report *r, uintptr_t fp, uintptr_t sp, uintptr_t end) {
	while (fp > sp && fp % 8 == 0 && fp + 16 <= end) {
		const uintptr_t *frame = reinterpret_cast<const uintptr_t *>(fp);
		if (frame[1] == reinterpret_cast<uintptr_t>(lj_enter_return))
			return;
		note(r, frame[1]);
		sp = fp;
		fp = frame[0];
	}
}

} // namespace

int lj_is_code(uintptr_t pc) {
	uint64_t bases[3];
	uintptr_t start;
	return lj_unwind_find(pc, &start) || _Unwind_Find_FDE(reinterpret_cast<void *>(pc), bases) != nullptr;
}

void lj_trace_fault(ucontext_t *context) {
	if (!reading)
		return;
	pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, nullptr);
	siglongjmp(*reading, 1);
}

void lj_read_guarded(void (*f)(void *), void *arg) {
	sigjmp_buf here;
	sigjmp_buf *outer = reading;
	if (sigsetjmp(here, 0) == 0) {
		reading = &here;
		f(arg);
	}
	reading = outer;
}

namespace {

struct Whereabouts {
	lj_landing *l;
	ucontext_t *context;
};

void trace(void *arg) {
	Whereabouts *w = static_cast<Whereabouts *>(arg);
	lj_report *r = &w->l->frame->report;
	Trace t = {r, w->l->sp, 0, false};
	if (!w->context) {
		t.frames = 1;
		_Unwind_Backtrace(step, &t);
		return;
	}
	greg_t *regs = w->context->uc_mcontext.gregs;
	uintptr_t pc = regs[REG_RIP], sp = regs[REG_RSP], fp = regs[REG_RBP];
	if (!lj_is_code(pc)) { // a call through a bad pointer: the caller is where it would return to
		note(r, pc);
		regs[REG_RIP] = *reinterpret_cast<const greg_t *>(sp);
		regs[REG_RSP] = sp + 8;
		if (!lj_is_code(regs[REG_RIP] - 1)) {
			follow_frame_pointers(r, fp, sp, w->l->sp);
			return;
		}
	}
	_Unwind_Backtrace(step, &t);
	if (r->ntrace < 2) {
		if (r->ntrace == 0)
			note(r, pc);
		follow_frame_pointers(r, fp, sp, w->l->sp);
	}
}

} // namespace

void lj_trace_to(lj_landing *l, ucontext_t *context) {
	lj_report *r = &l->frame->report;
	r->ntrace = 0;
	Whereabouts w = {l, context};
	ucontext_t before;
	if (context)
		memcpy(before.uc_mcontext.gregs, context->uc_mcontext.gregs, sizeof before.uc_mcontext.gregs);
	lj_read_guarded(trace, &w);
	if (context)
		memcpy(context->uc_mcontext.gregs, before.uc_mcontext.gregs, sizeof before.uc_mcontext.gregs);
}
