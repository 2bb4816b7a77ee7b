// The edge of native code: landings, exceptions, forced unwinding. Contract in guard.h, reasons in guard.go.
#include "landing.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <exception>
#include <string>
#include <typeinfo>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

namespace {

thread_local EhGlobals *eh_globals __attribute__((tls_model("initial-exec")));

int lj_tid() {
	static thread_local int tid __attribute__((tls_model("initial-exec")));
	if (!tid)
		tid = static_cast<int>(syscall(SYS_gettid));
	return tid;
}

[[noreturn]] void die(const char *what) {
	fprintf(stderr, "livejit: %s on a thread without an entry into native code\n", what);
	abort();
}

} // namespace

#pragma GCC visibility push(hidden)
__thread lj_landing *lj_current __attribute__((tls_model("initial-exec")));
// Frame pointer of the lj_callback_entry or lj_miss that is about to call Go; lj_context takes it.
__thread uintptr_t lj_crossing __attribute__((tls_model("initial-exec")));
#pragma GCC visibility pop

#define ASSERT_OFFSET(type, field, value) static_assert(offsetof(type, field) == (value), #type "." #field)
ASSERT_OFFSET(lj_frame, fn, LJ_FRAME_FN);
ASSERT_OFFSET(lj_frame, integers, LJ_FRAME_INT);
ASSERT_OFFSET(lj_frame, floats, LJ_FRAME_FLOAT);
ASSERT_OFFSET(lj_frame, ret_int, LJ_FRAME_RET_INT);
ASSERT_OFFSET(lj_frame, ret_float, LJ_FRAME_RET_FLOAT);
ASSERT_OFFSET(lj_frame, ret_x87, LJ_FRAME_RET_X87);
ASSERT_OFFSET(lj_frame, x87, LJ_FRAME_X87);
ASSERT_OFFSET(lj_frame, nstack, LJ_FRAME_NSTACK);
ASSERT_OFFSET(lj_frame, report, LJ_FRAME_REPORT);
ASSERT_OFFSET(lj_frame, stack, LJ_FRAME_STACK);
ASSERT_OFFSET(lj_landing, sp, LJ_LANDING_SP);
ASSERT_OFFSET(lj_landing, previous, LJ_LANDING_PREVIOUS);
ASSERT_OFFSET(lj_landing, detour, LJ_LANDING_DETOUR);
ASSERT_OFFSET(lj_landing, carried, LJ_LANDING_CARRIED);
ASSERT_OFFSET(Detour, sp, LJ_DETOUR_SP);
ASSERT_OFFSET(Detour, size, LJ_DETOUR_SIZE);
ASSERT_OFFSET(Detour, copy, LJ_DETOUR_COPY);
ASSERT_OFFSET(lj_callback, integers, LJ_CALLBACK_INT);
ASSERT_OFFSET(lj_callback, floats, LJ_CALLBACK_FLOAT);
ASSERT_OFFSET(lj_callback, ret_int, LJ_CALLBACK_RET_INT);
ASSERT_OFFSET(lj_callback, ret_float, LJ_CALLBACK_RET_FLOAT);
ASSERT_OFFSET(lj_callback, stack, LJ_CALLBACK_STACK);
ASSERT_OFFSET(lj_callback, id, LJ_CALLBACK_ID);
ASSERT_OFFSET(lj_callback, landing, LJ_CALLBACK_LANDING);
ASSERT_OFFSET(lj_callback, mxcsr, LJ_CALLBACK_MXCSR);
ASSERT_OFFSET(lj_callback, x87cw, LJ_CALLBACK_X87CW);
ASSERT_OFFSET(lj_callback, outer, LJ_CALLBACK_OUTER);
ASSERT_OFFSET(struct lj_thread_state, callback, LJ_THREAD_CALLBACK);
static_assert(sizeof(lj_callback) == LJ_CALLBACK_SIZE, "lj_callback");
static_assert(LJ_CALLBACK_SIZE % 16 == 8, "the stack is 16-aligned below a struct lj_callback");
static_assert(LJ_GOEXIT == LJ_REASON_GOEXIT && LJ_INTERRUPTED == LJ_REASON_INTERRUPTED, "lj_reason");

// The caller's catch (...) holds the exception, or std::terminate does. std::current_exception is null for other languages' exceptions; the plain
// ABI queries would read past them.
void lj_describe(lj_report &r) {
	r.type_name = r.what = 0;
	std::exception_ptr p = std::current_exception();
	if (!p)
		return;
	const char *mangled = p.__cxa_exception_type()->name();
	int status;
	char *demangled = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
	r.type_name = reinterpret_cast<uint64_t>(demangled ? demangled : strdup(mangled));
	const char *what = nullptr;
	try {
		throw;
	} catch (const std::exception &e) {
		try {
			what = strdup(e.what());
		} catch (...) {
		}
	} catch (const std::string &s) {
		what = strdup(s.c_str());
	} catch (const char *s) {
		what = s ? strdup(s) : nullptr;
	} catch (...) {
	}
	r.what = reinterpret_cast<uint64_t>(what);
}

namespace {

// Go's floating-point control; lj_enter sees to it on the other ways out.
void default_control() {
	const uint32_t mxcsr = 0x1f80;
	asm volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

// Called by the unwinder before each frame. The first lj_enter on the way is the innermost entry: landings never lie beyond Go frames.
_Unwind_Reason_Code stop(int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception *, _Unwind_Context *context, void *landing) {
	if ((actions & _UA_END_OF_STACK) || _Unwind_GetIP(context) == reinterpret_cast<uintptr_t>(lj_enter_return)) {
		lj_landing *l = static_cast<lj_landing *>(landing);
		lj_jump(l, l->reason);
	}
	return _URC_NO_REASON;
}

[[noreturn]] void run_unwinding(lj_landing *l);

// The C++ runtime deletes the exception at the end of a catch (...) that does not rethrow. Unwinding goes on from there.
void swallowed(_Unwind_Reason_Code, _Unwind_Exception *e) {
	run_unwinding(reinterpret_cast<lj_landing *>(reinterpret_cast<char *>(e) - offsetof(lj_landing, exception)));
}

[[noreturn]] void run_unwinding(lj_landing *l) {
	memset(&l->exception, 0, sizeof l->exception);
	memcpy(&l->exception.exception_class, "LJITGO\0\0", 8);
	l->exception.exception_cleanup = swallowed;
	l->unwinding = true;
	_Unwind_ForcedUnwind(&l->exception, stop, l);
	lj_jump(l, l->reason); // the unwinder gave up
}

[[noreturn]] void unwind_to(lj_landing *l, int reason, uint64_t detail) {
	l->reason = reason;
	l->frame->report.detail = detail;
	run_unwinding(l);
}

} // namespace

int lj_guard_call(lj_frame *f) {
	lj_landing l;
	// Outer landings lie above. One that does not was left behind by a panic that Go carried through an entry itself, past a callback not made by us.
	if (__builtin_expect(lj_current != nullptr && lj_current <= &l, 0)) {
		lj_current = nullptr;
		if (lj_thread_state.base <= reinterpret_cast<uintptr_t>(&l))
			lj_thread_state.base = 0;
		// The callback around the entry, if there was one, is lost: until that ends its stack counts as unknown.
	}
	if (!f)
		return LJ_RETURNED;
	if (__builtin_expect(!eh_globals, 0))
		eh_globals = reinterpret_cast<EhGlobals *>(abi::__cxa_get_globals());
	l.eh = *eh_globals;
	l.frame = f;
	l.detour = nullptr;
	l.unwinding = false;
	l.slot = nullptr;
	l.carried = 0;
	if (f->watched)
		__atomic_store_n(&f->tid, lj_tid(), __ATOMIC_RELEASE);
	lj_thread_enter(&l.outside, reinterpret_cast<uintptr_t>(&l)); // all native frames of the entry lie below its landing
	int reason;
	try {
		reason = lj_enter(f, &l);
		if (__builtin_expect(reason != LJ_RETURNED, 0)) {
			*eh_globals = l.eh;
			if (reason != LJ_TERMINATED)
				f->report.type_name = f->report.what = 0;
		}
	} catch (abi::__forced_unwind &) {
		lj_current = l.previous; // the thread ends: pthread_exit, pthread_cancel
		l.outside.callback = 0; // the callback around the entry does not go on
		lj_thread_leave(&l.outside);
		throw;
	} catch (...) {
		lj_current = l.previous;
		default_control();
		lj_describe(f->report);
		reason = LJ_EXCEPTION;
	}
	lj_thread_leave(&l.outside); // not before: the exception's what() and destructor are native code
	if (f->watched)
		__atomic_store_n(&f->tid, 0, __ATOMIC_RELEASE);
	if (__builtin_expect(reason != LJ_RETURNED, 0)) {
		f->report.reason = reason;
		f->report.carried = l.carried;
	}
	return reason;
}

// cgo calls this before each Go function that C code calls, with 0 in place of the context, and with that context when the function has returned.
// Nothing has to be released: a context is the address of a frame that stands as long as the Go function runs. It must not be 0, which Go does
// not keep: contexts and callbacks would no longer go together.
void lj_context(void *argument) {
	uintptr_t *context = static_cast<uintptr_t *>(argument);
	if (*context)
		return;
	const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)), fp = lj_crossing;
	lj_crossing = 0;
	constexpr uintptr_t near = 1 << 16; // what a miss saves lies between; a frame farther away was left behind before anyone asked for contexts
	*context = fp > here && fp - here < near ? fp : uintptr_t(LJ_NO_CONTEXT);
}

lj_landing *lj_entered(void) { return lj_current; }

void lj_land(int reason, uint64_t detail) {
	lj_landing *l = lj_current;
	if (!l)
		die("lj_land");
	l->frame->report.detail = detail;
	lj_jump(l, reason);
}

void lj_unwind(int reason, uint64_t detail) {
	if (!lj_current)
		die("lj_unwind");
	unwind_to(lj_current, reason, detail);
}

int lj_land_signal(int reason, int signal, void *siginfo, void *ucontext) {
	lj_landing *l = lj_current;
	if (!l)
		return 0;
	const siginfo_t *info = static_cast<siginfo_t *>(siginfo);
	greg_t *regs = static_cast<ucontext_t *>(ucontext)->uc_mcontext.gregs;
	lj_report &r = l->frame->report;
	r.signal = signal;
	r.code = info->si_code;
	r.detail = 0;
	r.address = reinterpret_cast<uint64_t>(info->si_addr);
	r.pc = regs[REG_RIP];
	r.sp = regs[REG_RSP];
	r.fp = regs[REG_RBP];
	regs[REG_RIP] = reinterpret_cast<greg_t>(lj_jump);
	regs[REG_RDI] = reinterpret_cast<greg_t>(l);
	regs[REG_RSI] = reason;
	return 1;
}

// The end of a callback or miss whose Go side did not return normally; the Go frames are gone.
void lj_callback_failed(lj_callback *c, int reason) {
	lj_landing *l = reinterpret_cast<lj_landing *>(c->landing);
	unwind_to(l, reason, c->id);
}

void lj_guard_goexit(lj_callback *c) {
	lj_landing *l = reinterpret_cast<lj_landing *>(c->landing);
	// What is copied aside reaches from lj_detour's frame, a little below this one, up to c. The Detour must not lie in it.
	size_t room = reinterpret_cast<char *>(c) - static_cast<char *>(__builtin_frame_address(0)) + 1024;
	Detour *d = static_cast<Detour *>(malloc(sizeof(Detour) + room));
	if (!d)
		abort();
	d->copy = d + 1;
	lj_current = l;
	lj_thread_state.callback = c->outer;
	lj_detour(l, c, d);
	lj_current = l->previous;
	lj_thread_leave(&l->outside);
	*eh_globals = l->eh;
	free(d);
}
