// Native functions for guard's tests.
#include "subjects.h"

#include <cfenv>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <unwind.h>
#include <vector>

namespace {
struct Counted {
	int64_t *n;
	~Counted() { ++*n; }
};
struct Throws {
	~Throws() noexcept(false) { throw std::runtime_error("from a destructor"); }
};
struct Calls {
	callback_fn fn;
	int64_t *log;
	~Calls() noexcept(false) { *log += fn(7); }
};
} // namespace

namespace zoo {
template <class T> struct Animal {
	T t;
};
struct BadWhat : std::exception {
	const char *what() const noexcept override { return "bad"; }
};
} // namespace zoo

extern "C" {

int64_t empty(int64_t a) { return a + 1; }
int64_t add3(int64_t a, int64_t b, int64_t c) { return a + 10 * b + 100 * c; }
int64_t weigh(int64_t a1, int64_t a2, int64_t a3, int64_t a4, int64_t a5, int64_t a6, int64_t a7, int64_t a8, int64_t a9, int64_t a10, int64_t a11, int64_t a12, int64_t a13, int64_t a14, int64_t a15, int64_t a16, int64_t a17, int64_t a18, int64_t a19, int64_t a20, int64_t a21, int64_t a22) {
	return a1 + 2 * a2 + 3 * a3 + 4 * a4 + 5 * a5 + 6 * a6 + 7 * a7 + 8 * a8 + 9 * a9 + 10 * a10 + 11 * a11 + 12 * a12 + 13 * a13 + 14 * a14 + 15 * a15 + 16 * a16 + 17 * a17 + 18 * a18 + 19 * a19 + 20 * a20 + 21 * a21 + 22 * a22;
}
long double half(long double x) { return x / 2; }

int variadic_sum(char *out, const char *format, double a, double b) { return sprintf(out, format, a, b); }

void throw_kind(int kind) {
	switch (kind) {
	case 0: throw std::out_of_range("index 9");
	case 1: throw 42;
	case 2: throw "a C string";
	case 3: throw std::string("a string");
	case 4: throw zoo::Animal<int>{1};
	case 5: throw zoo::BadWhat{};
	case 6: {
		static _Unwind_Exception foreign;
		memset(&foreign, 0, sizeof foreign);
		memcpy(&foreign.exception_class, "OTHRLANG", 8);
		_Unwind_RaiseException(&foreign);
		abort();
	}
	case 7: throw static_cast<const char *>(nullptr);
	}
}

__attribute__((noinline)) int64_t call_with_destructors(callback_fn fn, int64_t depth, int64_t *destroyed) {
	Counted c{destroyed};
	if (depth == 0)
		return fn(depth);
	return 1 + call_with_destructors(fn, depth - 1, destroyed);
}

int64_t swallow(callback_fn fn, int64_t *log) {
	Counted c{log};
	try {
		Counted inner{log};
		fn(1);
	} catch (...) {
		*log += 100;
	}
	*log += 1000; // must not be reached
	return 1;
}

int64_t typed_catch(callback_fn fn, int64_t *log) {
	Counted c{log};
	try {
		fn(1);
	} catch (std::exception &) {
		*log += 1000;
	} catch (int) {
		*log += 1000;
	} catch (...) {
		*log += 100;
		throw;
	}
	return 1;
}

static int64_t noexcept_inner(callback_fn fn, int64_t *log) noexcept {
	Counted c{log};
	return fn(2);
}
int64_t noexcept_frame(callback_fn fn, int64_t *log) { return noexcept_inner(fn, log) + 1; }

int64_t throwing_destructor(callback_fn fn, int64_t *log) {
	Counted c{log};
	Throws t;
	return fn(3) + *log;
}

int64_t callback_in_destructor(callback_fn fn, callback_fn inner, int64_t *log) {
	Counted c{log};
	Calls k{inner, log};
	return fn(3) + *log;
}

int64_t callback_in_catch(callback_fn fn) {
	try {
		throw 1;
	} catch (int) {
		try {
			return fn(1);
		} catch (std::exception &) {
			return -1;
		}
	}
}

static thread_local callback_fn compare_fn;
static int compare(const void *a, const void *b) { return compare_fn(*static_cast<const int *>(a) - *static_cast<const int *>(b)); }
int64_t in_qsort(callback_fn fn, int64_t *log) {
	Counted c{log};
	compare_fn = fn;
	int v[] = {5, 3, 9, 1};
	qsort(v, 4, sizeof v[0], compare);
	return v[0] * 1000 + v[1] * 100 + v[2] * 10 + v[3];
}

int64_t caught_count(void) {
	void **globals = reinterpret_cast<void **>(abi::__cxa_get_globals());
	return (globals[0] != nullptr) + 2 * *reinterpret_cast<unsigned *>(globals + 1);
}

void land_in_catch(void (*land)(int, uint64_t), int64_t detail) {
	try {
		throw std::runtime_error("caught");
	} catch (std::exception &) {
		land(7, detail);
	}
}

namespace {
struct ThreadWork {
	callback_fn fn;
	int64_t rounds, sum;
};
void *thread_main(void *p) {
	ThreadWork *w = static_cast<ThreadWork *>(p);
	for (int64_t i = 0; i < w->rounds; i++)
		w->sum += w->fn(i);
	return nullptr;
}
} // namespace

int64_t on_thread(callback_fn fn, int64_t threads, int64_t rounds) {
	std::vector<ThreadWork> work(threads, ThreadWork{fn, rounds, 0});
	std::vector<pthread_t> ids(threads);
	for (int64_t i = 0; i < threads; i++)
		pthread_create(&ids[i], nullptr, thread_main, &work[i]);
	int64_t sum = 0;
	for (int64_t i = 0; i < threads; i++) {
		pthread_join(ids[i], nullptr);
		sum += work[i].sum;
	}
	return sum;
}
void bare_thread(callback_fn fn) { on_thread(fn, 1, 1); }

int64_t set_rounding(int mode) { return fesetround(mode); }
int64_t get_rounding(void) { return fegetround(); }
int64_t rounding_around(callback_fn fn) {
	fesetround(FE_UPWARD);
	fn(0);
	return fegetround() == FE_UPWARD;
}

static int (*land_signal)(int, int, void *, void *);
static void on_signal(int s, siginfo_t *info, void *context) { land_signal(5, s, info, context); }
int64_t signal_land(int (*land)(int, int, void *, void *)) {
	land_signal = land;
	struct sigaction a {}, old;
	a.sa_sigaction = on_signal;
	a.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigfillset(&a.sa_mask);
	sigaction(SIGRTMIN + 9, &a, &old);
	fesetround(FE_DOWNWARD);
	asm volatile("std\n\tfld1\n\tfld1");
	pthread_kill(pthread_self(), SIGRTMIN + 9);
	return 1; // not reached
}

int64_t call_guard(int (*call)(void *), void *frame) { return call(frame); }

int64_t exit_thread(void) { pthread_exit(nullptr); }

namespace {
struct ForcedWork {
	int (*call)(void *);
	void *frame;
	int64_t destroyed;
};
void *forced_main(void *p) {
	ForcedWork *w = static_cast<ForcedWork *>(p);
	Counted c{&w->destroyed};
	w->call(w->frame); // enters exit_thread
	w->destroyed += 100;
	return nullptr;
}
} // namespace
int64_t forced_unwinding_passes(int (*call)(void *), void *frame) {
	ForcedWork w{call, frame, 0};
	pthread_t t;
	pthread_create(&t, nullptr, forced_main, &w);
	pthread_join(t, nullptr);
	return w.destroyed;
}

int64_t depth_of_backtrace(void) {
	void *frames[200];
	return backtrace(frames, 200);
}

void stomp_callee_saved(void (*land)(int, uint64_t)) {
	asm volatile("mov $-1,%%rbx\n\tmov %%rbx,%%r12\n\tmov %%rbx,%%r13\n\tmov %%rbx,%%r14\n\tmov %%rbx,%%r15\n\t"
	             "mov $7,%%edi\n\tmov $1,%%esi\n\tand $-16,%%rsp\n\tcall *%0"
	             : : "a"(land) : "rbx", "r12", "r13", "r14", "r15", "memory");
}
uint64_t callee_saved_kept(int (*call)(void *), void *frame) {
	uint64_t ok;
	asm volatile("mov $0x1111,%%rbx\n\tmov $0x2222,%%r12\n\tmov $0x3333,%%r13\n\tmov $0x4444,%%r14\n\tmov $0x5555,%%r15\n\t"
	             "mov %2,%%rdi\n\tcall *%1\n\t"
	             "sub $0x1111,%%rbx\n\tsub $0x2222,%%r12\n\tsub $0x3333,%%r13\n\tsub $0x4444,%%r14\n\tsub $0x5555,%%r15\n\t"
	             "or %%r12,%%rbx\n\tor %%r13,%%rbx\n\tor %%r14,%%rbx\n\tor %%r15,%%rbx\n\tmov %%rbx,%0"
	             : "=&a"(ok) : "0"(call), "d"(frame)
	             : "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
	return ok;
}
}
