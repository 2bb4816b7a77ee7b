// See missed.h.
#include "missed.h"

#include <cerrno>
#include <cfenv>
#include <complex>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <ucontext.h>
#include <unwind.h>
#include <vector>

#pragma GCC visibility push(hidden)
extern "C" {
void registers_call(void *fn, const uint64_t *general, const void *state);
extern char registers_return[];
int64_t chain_call(void *fn);
void chain_target();
void step_again();
// Shared with the assembly. The order of the general registers is the processor's: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15.
uint64_t registers_general[16], registers_sp, registers_flags;
alignas(64) unsigned char registers_state[8192];
uint32_t registers_components;
uint64_t step_resume;
}
#pragma GCC visibility pop

namespace {

struct Big {
	int64_t v[5];
};
struct Mixed {
	int64_t a;
	double b;
};
struct Pair {
	int64_t a, b;
};

int64_t ints(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) { return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f; }
double doubles(double a, double b, double c, double d, double e, double f, double g, double h) { return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f + 13 * g + 17 * h; }
double on_stack(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, double g, double h, double i, double j, double k, double l, double m, double n, int64_t o, double p, int64_t q, int8_t r, float s) {
	return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f + 13 * g + 17 * h + 19 * i + 23 * j + 29 * k + 31 * l + 37 * m + 41 * n + 43 * o + 47 * p + 53 * q + 59 * r + 61 * s;
}
// The compiler's prologue stores vector registers only if al says that there are some.
double variadic(const char *kinds, ...) {
	va_list args;
	va_start(args, kinds);
	double sum = 0;
	for (int n = 1; *kinds; kinds++, n++)
		sum += n * (*kinds == 'd' ? va_arg(args, double) : *kinds == 'l' ? static_cast<double>(va_arg(args, long double)) : static_cast<double>(va_arg(args, int64_t)));
	va_end(args);
	return sum;
}
int64_t by_value(int64_t a, Big b, Mixed m) { return a + b.v[0] + 2 * b.v[1] + 3 * b.v[2] + 5 * b.v[3] + 7 * b.v[4] + 11 * m.a + static_cast<int64_t>(13 * m.b); }
Big by_sret(int64_t a, Big b) {
	for (int64_t &v : b.v)
		v += a;
	return b;
}
Mixed mixed(double b, int64_t a) { return {a, b}; }
Pair pair(int64_t b, int64_t a) { return {a, b}; }
long double x87(long double a, int b) { return a / b; }
std::complex<long double> x87_complex(long double a, long double b) { return {b, a}; }
int64_t error(int64_t) { return errno; }
int64_t control(int64_t) { return fegetround(); }
__attribute__((noinline)) int64_t throws(int64_t a) { throw std::runtime_error("thrown " + std::to_string(a)); }

__attribute__((target("avx"))) __m256d wide(__m256d a, __m256d b, double c) { return _mm256_add_pd(_mm256_sub_pd(a, b), _mm256_set1_pd(c)); }
__attribute__((target("avx"))) bool call_wide(void *fn) {
	typedef __m256d (*F)(__m256d, __m256d, double);
	double r[4];
	_mm256_storeu_pd(r, reinterpret_cast<F>(fn)(_mm256_set_pd(4, 3, 2, 1), _mm256_set_pd(10, 20, 30, 40), 100));
	return r[0] == 61 && r[1] == 72 && r[2] == 83 && r[3] == 94;
}
__attribute__((target("avx512f"))) __m512d wider(__m512d a, __m512d b, __mmask8 m) { return _mm512_mask_add_pd(a, m, a, b); }
__attribute__((target("avx512f"))) bool call_wider(void *fn) {
	typedef __m512d (*F)(__m512d, __m512d, __mmask8);
	double r[8];
	_mm512_storeu_pd(r, reinterpret_cast<F>(fn)(_mm512_set_pd(8, 7, 6, 5, 4, 3, 2, 1), _mm512_set1_pd(100), 0xf0));
	for (int i = 0; i < 8; i++)
		if (r[i] != i + 1 + (i >= 4 ? 100 : 0))
			return false;
	return true;
}

enum Kind { INTS, DOUBLES, ON_STACK, VARIADIC, BY_VALUE, SRET, MIXED, PAIR, X87, X87_COMPLEX, CHAIN, WIDE, WIDER, ERRNO, CONTROL, THROWS, REGISTERS };

bool same(const void *a, const void *b, size_t n) { return memcmp(a, b, n) == 0; }

template <class F> F *as(void *fn, F *) { return reinterpret_cast<F *>(fn); }

} // namespace

extern "C" {

const char *missed_kind(int kind) {
	static const char *const names[] = {"6 integers", "8 doubles", "stack words", "variadic", "struct by value", "struct return", "struct in rax and xmm0", "struct in rax and rdx",
		"long double", "complex long double", "static chain", "__m256d", "__m512d", "errno", "rounding mode", "exception", "all registers", nullptr};
	static_assert(sizeof names / sizeof names[0] == REGISTERS + 2, "a name for each kind");
	return names[kind];
}

void *missed_target(int kind) {
	switch (kind) {
	case INTS: return reinterpret_cast<void *>(ints);
	case DOUBLES: return reinterpret_cast<void *>(doubles);
	case ON_STACK: return reinterpret_cast<void *>(on_stack);
	case VARIADIC: return reinterpret_cast<void *>(variadic);
	case BY_VALUE: return reinterpret_cast<void *>(by_value);
	case SRET: return reinterpret_cast<void *>(by_sret);
	case MIXED: return reinterpret_cast<void *>(mixed);
	case PAIR: return reinterpret_cast<void *>(pair);
	case X87: return reinterpret_cast<void *>(x87);
	case X87_COMPLEX: return reinterpret_cast<void *>(x87_complex);
	case CHAIN: return reinterpret_cast<void *>(chain_target);
	case WIDE: return reinterpret_cast<void *>(wide);
	case WIDER: return reinterpret_cast<void *>(wider);
	case ERRNO: return reinterpret_cast<void *>(error);
	case CONTROL: return reinterpret_cast<void *>(control);
	case THROWS: return reinterpret_cast<void *>(throws);
	case REGISTERS: return reinterpret_cast<void *>(registers_dump);
	}
	return nullptr;
}

int64_t missed_call(int kind, void *fn) {
	switch (kind) {
	case INTS: return as(fn, ints)(1, 20, 300, 4000, 50000, 600000) == ints(1, 20, 300, 4000, 50000, 600000);
	case DOUBLES: return as(fn, doubles)(1, 2, 3, 4, 5, 6, 7, 8.5) == doubles(1, 2, 3, 4, 5, 6, 7, 8.5);
	case ON_STACK: return as(fn, on_stack)(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19) == on_stack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
	case VARIADIC: return as(fn, variadic)("didiiiididldddddddi", 1.5, int64_t(2), 3.5, int64_t(4), int64_t(5), int64_t(6), int64_t(7), 8., int64_t(9), 10., 11.5L, 12., 13., 14., 15., 16., 17., 18., int64_t(19)) ==
		       variadic("didiiiididldddddddi", 1.5, int64_t(2), 3.5, int64_t(4), int64_t(5), int64_t(6), int64_t(7), 8., int64_t(9), 10., 11.5L, 12., 13., 14., 15., 16., 17., 18., int64_t(19)) &&
		as(fn, variadic)("iii", int64_t(1), int64_t(2), int64_t(3)) == 14;
	case BY_VALUE: return as(fn, by_value)(1, Big{{2, 3, 4, 5, 6}}, Mixed{7, 8}) == by_value(1, Big{{2, 3, 4, 5, 6}}, Mixed{7, 8});
	case SRET: {
		Big got = as(fn, by_sret)(100, Big{{1, 2, 3, 4, 5}}), want{{101, 102, 103, 104, 105}};
		return same(&got, &want, sizeof got);
	}
	case MIXED: {
		Mixed got = as(fn, mixed)(2.5, 7), want{7, 2.5};
		return same(&got, &want, sizeof got);
	}
	case PAIR: {
		Pair got = as(fn, pair)(2, 7), want{7, 2};
		return same(&got, &want, sizeof got);
	}
	case X87: return as(fn, x87)(1.0L, 3) == 1.0L / 3;
	case X87_COMPLEX: return as(fn, x87_complex)(1.25L, 2.5L) == std::complex<long double>(2.5L, 1.25L);
	case CHAIN: return chain_call(fn) == 42;
	case WIDE: return __builtin_cpu_supports("avx") ? call_wide(fn) : -1;
	case WIDER: return __builtin_cpu_supports("avx512f") ? call_wider(fn) : -1;
	case ERRNO: {
		errno = 12345;
		bool kept = as(fn, error)(1) == 12345;
		errno = 0;
		return kept;
	}
	case CONTROL: {
		fesetround(FE_UPWARD);
		bool kept = as(fn, control)(1) == FE_UPWARD && fegetround() == FE_UPWARD;
		fesetround(FE_TONEAREST);
		return kept;
	}
	case THROWS:
		try {
			as(fn, throws)(7);
		} catch (std::runtime_error &e) {
			return e.what() == std::string("thrown 7");
		}
		return 0;
	case REGISTERS: {
		int64_t r = registers_kept(fn);
		return r == 0 ? 1 : r < 0 ? -1 : 1000 + r;
	}
	}
	return 0;
}

void break_errno(void) { errno = 1; }

namespace {
struct Together {
	int64_t (*fn)(int64_t);
	int64_t i;
	pthread_barrier_t *barrier;
};
void *together(void *p) {
	Together *t = static_cast<Together *>(p);
	pthread_barrier_wait(t->barrier);
	t->i = t->fn(t->i);
	return nullptr;
}
} // namespace

int64_t missed_call_at_once(int64_t (*fn)(int64_t), int64_t n) {
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, nullptr, n);
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	std::vector<Together> work(n);
	std::vector<pthread_t> ids(n);
	for (int64_t i = 0; i < n; i++) {
		work[i] = {fn, i, &barrier};
		if (pthread_create(&ids[i], &small, together, &work[i]) != 0)
			return -1; // the others wait for ever; the test fails
	}
	int64_t sum = 0;
	for (int64_t i = 0; i < n; i++) {
		pthread_join(ids[i], nullptr);
		sum += work[i].i;
	}
	pthread_attr_destroy(&small);
	pthread_barrier_destroy(&barrier);
	return sum;
}
}

namespace {

struct Registers {
	uint64_t general[16];
	alignas(64) unsigned char state[8192];
	bool compared[8192]; // the bytes of state that must arrive
};

uint64_t seed = 0x9e3779b97f4a7c15;
unsigned char random_byte() {
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 56;
}

// Fills r with values that the processor accepts; false if there is no XSAVE.
bool choose(Registers &r) {
	unsigned eax, ebx, ecx, edx;
	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return false;
	uint32_t enabled, high;
	asm volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
	registers_components = enabled & 0xe7; // x87, SSE, AVX and the three of AVX-512
	memset(&r, 0, sizeof r);
	for (uint64_t &g : r.general)
		for (int i = 0; i < 8; i++)
			g = g << 8 | random_byte();
	const uint16_t control = 0x27f; // double precision
	const uint32_t mxcsr = 0x7f80;  // towards zero
	auto fill = [&r](size_t from, size_t n) {
		for (size_t i = from; i < from + n; i++) {
			r.state[i] = random_byte();
			r.compared[i] = true;
		}
	};
	auto set = [&r](size_t at, const void *p, size_t n) {
		memcpy(r.state + at, p, n);
		memset(r.compared + at, true, n);
	};
	set(0, &control, 2);
	r.state[4] = 0xff; // all x87 registers are in use, as no convention has it
	r.compared[4] = true;
	set(24, &mxcsr, 4);
	for (int i = 0; i < 8; i++)
		fill(32 + 16 * i, 10);
	fill(160, 256);
	for (int i = 2; i < 8; i++)
		if (registers_components >> i & 1 && __get_cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx))
			fill(ebx, eax);
	uint64_t bits = registers_components;
	memcpy(r.state + 512, &bits, 8);
	memset(registers_state, 0, sizeof registers_state);
	return true;
}

} // namespace

int64_t registers_kept(void *fn) {
	static Registers r;
	if (!choose(r))
		return -1;
	registers_call(fn, r.general, r.state);
	r.general[4] = registers_sp - 8;
	for (int i = 0; i < 16; i++)
		if (registers_general[i] != r.general[i])
			return 1 + i;
	for (size_t i = 0; i < sizeof r.state; i++)
		if (r.compared[i] && registers_state[i] != r.state[i])
			return 100 + i;
	return 0;
}

namespace {

constexpr greg_t trap_flag = 0x100;

struct Stepping {
	uint64_t lo, hi, run, inside, wrong;
	const Registers *registers;
} stepping;

// DWARF numbers (psABI figure 3.36) of the callee-saved registers with their places in the processor's order.
constexpr struct {
	int dwarf, place;
} callee_saved[] = {{3, 3}, {6, 5}, {12, 12}, {13, 13}, {14, 14}, {15, 15}};

// The frame that the unwinder comes to after lj_miss's must be registers_call's, as at its call.
struct Search {
	bool in_miss, right;
};
_Unwind_Reason_Code visit(_Unwind_Context *context, void *p) {
	Search *s = static_cast<Search *>(p);
	uint64_t ip = _Unwind_GetIP(context);
	if (!s->in_miss) {
		s->in_miss = ip >= stepping.lo && ip < stepping.hi;
		return _URC_NO_REASON;
	}
	s->right = ip == reinterpret_cast<uint64_t>(registers_return) && _Unwind_GetCFA(context) == registers_sp;
	for (auto r : callee_saved)
		s->right = s->right && _Unwind_GetGR(context, r.dwarf) == stepping.registers->general[r.place];
	return _URC_END_OF_STACK;
}

void on_step(int, siginfo_t *, void *ucontext) {
	greg_t *regs = static_cast<ucontext_t *>(ucontext)->uc_mcontext.gregs;
	uint64_t pc = regs[REG_RIP];
	if (pc >= stepping.lo && pc < stepping.hi) {
		stepping.inside++;
		Search s{};
		_Unwind_Backtrace(visit, &s);
		if (!s.right && !stepping.wrong)
			stepping.wrong = pc - stepping.lo + 1;
	} else if (pc == stepping.run) {
		// Go threads start others with all signals blocked, which a trap flag does not survive: no steps until this function returns.
		uint64_t *top = reinterpret_cast<uint64_t *>(regs[REG_RSP]);
		step_resume = *top;
		*top = reinterpret_cast<uint64_t>(step_again);
		regs[REG_EFL] &= ~trap_flag;
	} else if (pc == reinterpret_cast<uint64_t>(registers_dump)) {
		regs[REG_EFL] &= ~trap_flag;
	}
}

} // namespace

int64_t step_miss(void *fn, char *lo, char *hi, void *run) {
	static Registers r;
	choose(r);
	stepping = {reinterpret_cast<uint64_t>(lo), reinterpret_cast<uint64_t>(hi), reinterpret_cast<uint64_t>(run), 0, 0, &r};
	struct sigaction action {}, old;
	action.sa_sigaction = on_step;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGTRAP, &action, &old);
	registers_flags = trap_flag;
	registers_call(fn, r.general, r.state);
	registers_flags = 0;
	sigaction(SIGTRAP, &old, nullptr);
	return stepping.wrong ? -static_cast<int64_t>(stepping.wrong) : static_cast<int64_t>(stepping.inside);
}
