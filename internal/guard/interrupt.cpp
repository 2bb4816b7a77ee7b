// Ending an entry from outside: the thread is sent a signal, and its handler looks where it is.
//
//   - In JIT code: it lands at once.
//   - In foreign code that JIT code has called, which may hold locks: the return address by which that comes back to JIT code is replaced by lj_hijacked, and
//     a system call that it waits in is made to fail with EINTR. It lands when the foreign code returns.
//   - Foreign code that has not returned when it is found there again (it waits for a lock, or starts its system call again) is left at once, if that is
//     asked for.
//   - An exception on its way to a frame behind lj_hijacked finds the end of the stack there, which ends in std::terminate or abort: both land.
//
// While Go runs in a callback lj_current is empty and nothing happens: whoever interrupts asks again.
#include "landing.h"
#include "../unwind/lj_unwind.h"

#include <cerrno>
#include <initializer_list>
#include <unistd.h>

int lj_is_jit(uintptr_t pc) {
	uintptr_t start;
	return lj_unwind_find(pc, &start);
}

int lj_is_jit_called(const lj_report *r) {
	for (uint64_t i = 1; i < r->ntrace; i++)
		if (lj_is_jit(r->trace[i] - 1))
			return 1;
	return 0;
}

namespace {

// The place of the return address into the innermost JIT frame.
struct Search {
	uintptr_t end;
	uintptr_t *slot;
	bool begun;
};

_Unwind_Reason_Code look(_Unwind_Context *context, void *arg) {
	Search *s = static_cast<Search *>(arg);
	int before = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &before), sp = _Unwind_GetCFA(context);
	if (!s->begun) {
		s->begun = before != 0;
		return _URC_NO_REASON;
	}
	if (sp >= s->end || pc == reinterpret_cast<uintptr_t>(lj_hijacked) || pc == reinterpret_cast<uintptr_t>(lj_enter_return))
		return _URC_END_OF_STACK;
	if (!lj_is_jit(pc - 1))
		return _URC_NO_REASON;
	uintptr_t *slot = reinterpret_cast<uintptr_t *>(sp) - 1; // sp as it will be after the return
	if (*slot == pc)
		s->slot = slot;
	return _URC_END_OF_STACK;
}

void search(void *arg) { _Unwind_Backtrace(look, arg); }

struct Word {
	uintptr_t at, value;
};

void read_word(void *arg) {
	Word *w = static_cast<Word *>(arg);
	w->value = *reinterpret_cast<const uintptr_t *>(w->at);
}

// A stub or thunk that JIT code has called: code that is nobody's, with the return address on top of the stack.
bool at_stub(uintptr_t pc, uintptr_t sp) {
	Word top = {sp, 0};
	if (lj_is_code(pc))
		return false;
	lj_read_guarded(read_word, &top);
	return lj_is_jit(top.value - 1);
}

// A system call that waits, or is about to be made, returns EINTR: the signal was early enough.
void fail_system_call(ucontext_t *uc) {
	greg_t *regs = uc->uc_mcontext.gregs;
	const unsigned char *at = reinterpret_cast<const unsigned char *>(regs[REG_RIP]);
	if (at[0] == 0x0f && at[1] == 0x05) { // syscall: the kernel would start it again
		regs[REG_RIP] += 2;
		regs[REG_RAX] = -EINTR;
	}
}

// Whether the return address is still in its place: the frames below it have not returned.
bool is_hijacked(const lj_landing *l, uintptr_t sp) {
	return l->slot && reinterpret_cast<uintptr_t>(l->slot) >= sp && *l->slot == reinterpret_cast<uintptr_t>(lj_hijacked);
}

// The handler. All signals are blocked; those of faults must not be while it reads the stack.
void on_poke(int signal, void *info, void *context) {
	lj_landing *l = lj_current;
	ucontext_t *uc = static_cast<ucontext_t *>(context);
	uint32_t step = l ? __atomic_load_n(&l->frame->interrupt, __ATOMIC_ACQUIRE) : 0;
	uintptr_t pc = uc->uc_mcontext.gregs[REG_RIP], sp = uc->uc_mcontext.gregs[REG_RSP];
	if (!step || sp >= l->sp || !l->frame->watched)
		return;
	const stack_t *alternate = &uc->uc_stack;
	if (!(alternate->ss_flags & SS_DISABLE) && sp - reinterpret_cast<uintptr_t>(alternate->ss_sp) < alternate->ss_size)
		return; // inside of another signal's handler
	if (l->unwinding && step < LJ_INTERRUPT_HARD)
		return;
	sigset_t faults;
	sigemptyset(&faults);
	for (int s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE})
		sigaddset(&faults, s);
	pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
	lj_report &r = l->frame->report;
	bool waiting = is_hijacked(l, sp);
	if (waiting)
		*l->slot = l->slot_pc;
	bool jit = lj_is_jit(pc) || at_stub(pc, sp);
	Search s = {l->sp, nullptr, false};
	if (!jit && !(waiting && step >= LJ_INTERRUPT_HARD))
		lj_read_guarded(search, &s);
	r.flags = 0;
	lj_trace_to(l, uc);
	if (s.slot) {
		r.signal = signal;
		r.code = 0;
		r.detail = r.address = 0;
		r.pc = pc;
		r.sp = sp;
		r.fp = uc->uc_mcontext.gregs[REG_RBP];
		l->slot = s.slot;
		l->slot_pc = *s.slot;
		*s.slot = reinterpret_cast<uintptr_t>(lj_hijacked);
		fail_system_call(uc);
	} else if (jit || step >= LJ_INTERRUPT_HARD) {
		if (!jit && lj_is_jit_called(&r))
			r.flags |= LJ_FOREIGN;
		lj_land_signal(LJ_INTERRUPTED, signal, info, context);
	}
}

} // namespace

int lj_interrupt(lj_frame *f, int step) {
	__atomic_store_n(&f->interrupt, step, __ATOMIC_RELEASE);
	int tid = __atomic_load_n(&f->tid, __ATOMIC_ACQUIRE);
	if (!tid)
		return 0;
	return lj_thread_poke(tid, on_poke) ? 1 : -1;
}
