// Signals by which native code fails, and std::terminate: inside of an entry they end the entry. Contract in guard.h.
//
// A signal is an entry's if the thread is inside of one (no callback into Go is running: those clear lj_current) and not on its signal stack (then it is the
// fault of a handler). It must be of the thread's own doing: raised by the processor, or by the thread itself (abort, raise). All else goes to the handler
// that was there before, Go's as a rule.
#include "landing.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};

// What was installed before. Written before our handler is; a handler that runs late may read it at any time, so it is never cleared.
struct sigaction former[64];

std::mutex lock; // guards keepers
int keepers;
void (*other_owner)(int, void *, void *); // atomic

bool on_signal_stack(const ucontext_t *uc, uintptr_t sp) {
	const stack_t *s = &uc->uc_stack;
	return !(s->ss_flags & SS_DISABLE) && sp - reinterpret_cast<uintptr_t>(s->ss_sp) < s->ss_size;
}

bool own_doing(const siginfo_t *info) { return info->si_code > 0 || (info->si_code == SI_TKILL && info->si_pid == getpid()); }

bool overflows(int signal, const siginfo_t *info, uintptr_t sp) {
	uintptr_t low = lj_thread_state.low, at = reinterpret_cast<uintptr_t>(info->si_addr);
	const uintptr_t guard = 1 << 20; // a frame this large may step over the guard page
	if (!low || (signal != SIGSEGV && signal != SIGBUS) || info->si_code <= 0)
		return false;
	return at < low + 4096 && at + guard > low && sp < low + guard;
}

void hand_on(int signal, siginfo_t *info, void *context) {
	const struct sigaction *a = &former[signal];
	bool handled = a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
	if (!handled) { // a fault cannot be ignored: the default ends the process, at the same instruction or by the same signal
		struct sigaction d;
		memset(&d, 0, sizeof d);
		d.sa_handler = info->si_code > 0 ? SIG_DFL : a->sa_handler;
		sigaction(signal, &d, nullptr);
		if (info->si_code <= 0)
			syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal); // comes when this handler returns
		return;
	}
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, nullptr); // as the former handler has asked, or more
	if (a->sa_flags & SA_SIGINFO)
		a->sa_sigaction(signal, info, context);
	else
		a->sa_handler(signal);
}

// Async-signal-safe. The signals themselves are not blocked in it: reading a broken stack may fault.
void on_fault(int signal, siginfo_t *info, void *context) {
	int saved = errno;
	ucontext_t *uc = static_cast<ucontext_t *>(context);
	uintptr_t sp = uc->uc_mcontext.gregs[REG_RSP], pc = uc->uc_mcontext.gregs[REG_RIP];
	lj_trace_fault(uc);
	lj_landing *l = lj_current;
	if (l && !on_signal_stack(uc, sp) && own_doing(info)) {
		if (signal == SIGABRT && l->slot && *l->slot == reinterpret_cast<uintptr_t>(lj_hijacked)) { // an exception could not pass
			lj_land_signal(LJ_INTERRUPTED, signal, info, context);
			errno = saved;
			return;
		}
		uint32_t flags = 0;
		if (overflows(signal, info, sp))
			flags |= LJ_STACK_OVERFLOW;
		l->frame->report.flags = flags;
		lj_trace_to(l, uc);
		if (!lj_is_jit(pc) && lj_is_code(pc) && lj_is_jit_called(&l->frame->report))
			l->frame->report.flags |= LJ_FOREIGN;
		lj_land_signal(LJ_FAULT, signal, info, context);
		errno = saved;
		return;
	}
	auto other = __atomic_load_n(&other_owner, __ATOMIC_ACQUIRE);
	if (other && !l && !on_signal_stack(uc, sp) && own_doing(info))
		other(signal, info, context);
	hand_on(signal, info, context);
	errno = saved;
}

std::terminate_handler previous_terminate;

// noexcept, an exception that nobody catches on its way, or a destructor that throws: ends in std::terminate. If the entry is being unwound, or asked to
// end, the rest is skipped.
[[noreturn]] void on_terminate() {
	if (lj_landing *l = lj_current) {
		if (l->unwinding)
			lj_jump(l, l->reason);
		if (__atomic_load_n(&l->frame->interrupt, __ATOMIC_RELAXED))
			lj_jump(l, LJ_INTERRUPTED);
		lj_report &r = l->frame->report;
		r.flags = 0;
		r.signal = SIGABRT;
		r.detail = r.address = r.pc = 0;
		lj_trace_to(l, nullptr);
		if (r.ntrace)
			r.pc = r.trace[0];
		lj_describe(r);
		lj_jump(l, LJ_TERMINATED);
	}
	if (previous_terminate)
		previous_terminate();
	abort();
}

} // namespace

void lj_faults_keep(void (*other)(int, void *, void *)) {
	std::lock_guard<std::mutex> g(lock);
	if (other)
		__atomic_store_n(&other_owner, other, __ATOMIC_RELEASE);
	if (keepers++)
		return;
	for (int s : signals) {
		struct sigaction now;
		sigaction(s, nullptr, &now);
		if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
			continue; // somebody has put it back whom we could not put ourselves out of
		former[s] = now;
		struct sigaction a;
		memset(&a, 0, sizeof a);
		a.sa_sigaction = on_fault;
		a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
		sigfillset(&a.sa_mask);
		for (int t : signals)
			sigdelset(&a.sa_mask, t);
		sigaction(s, &a, nullptr);
	}
	std::terminate_handler t = std::get_terminate();
	if (t != on_terminate) {
		previous_terminate = t;
		std::set_terminate(on_terminate);
	}
}

void lj_faults_drop(void) {
	std::lock_guard<std::mutex> g(lock);
	if (--keepers)
		return;
	for (int s : signals) {
		struct sigaction now;
		sigaction(s, nullptr, &now);
		if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault) // else somebody is in front of us and will hand on to us, who hand on
			sigaction(s, &former[s], nullptr);
	}
	if (std::get_terminate() == on_terminate)
		std::set_terminate(previous_terminate);
}

void lj_exit(int status) {
	if (lj_landing *l = lj_current) {
		l->frame->report.detail = static_cast<uint32_t>(status);
		lj_jump(l, LJ_EXITED);
	}
	exit(status);
}
