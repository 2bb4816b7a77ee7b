// LLVM's run-time library calls (llvm/IR/RuntimeLibcalls.td, for x86-64 Linux) are all in libgcc_s.so, libm and libc, but for those here: bfloat16 conversions (libgcc has
// them from gcc 13), the multiplications with overflow check of compiler-rt, old names of half conversions. atexit and its like, which C libraries link
// statically, are made for each DSO instead (dso.go). Decimal floating point (__bid_*) is in libgcc.a only and large: programs that use it load that archive.
#include "builtins.h"

#include <stdint.h>
#include <string.h>

#define OWN __attribute__((visibility("hidden"))) __attribute__((used))

// A bfloat16 is passed and returned in the low half of a float's register.

static uint32_t bits_of(float f) {
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}

static float float_of(uint32_t u) {
	float f;
	memcpy(&f, &u, 4);
	return f;
}

// Rounds to the nearest bfloat16, ties to even. NaNs stay NaNs and become quiet.
static float to_bf16(uint32_t u) {
	if ((u & 0x7fffffff) > 0x7f800000)
		return float_of(u >> 16 | 0x40);
	return float_of((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Narrows x to float so that a second rounding gives what one rounding would: towards zero, with the last bit set if anything was lost (round to odd).
#define TO_ODD(type, x)                                                                                                          \
	({                                                                                                                           \
		float f_ = (float)(x);                                                                                                   \
		uint32_t u_ = bits_of(f_);                                                                                               \
		if ((type)f_ != (x) && (x) == (x)) {                                                                                     \
			type a_ = (x) < 0 ? -(x) : (x), b_ = f_ < 0 ? -(type)f_ : (type)f_;                                                  \
			u_ = (b_ > a_ ? u_ - 1 : u_) | 1;                                                                                    \
		}                                                                                                                        \
		u_;                                                                                                                      \
	})

OWN float lj_truncsfbf2(float x) { return to_bf16(bits_of(x)); }
OWN float lj_truncdfbf2(double x) { return to_bf16(TO_ODD(double, x)); }
OWN float lj_truncxfbf2(long double x) { return to_bf16(TO_ODD(long double, x)); }
OWN float lj_trunctfbf2(__float128 x) { return to_bf16(TO_ODD(__float128, x)); }
OWN float lj_extendbfsf2(float x) { return float_of(bits_of(x) << 16); }

typedef int ti __attribute__((mode(TI)));
OWN int32_t lj_mulosi4(int32_t a, int32_t b, int *overflow) {
	int32_t r;
	*overflow = __builtin_mul_overflow(a, b, &r);
	return r;
}
OWN int64_t lj_mulodi4(int64_t a, int64_t b, int *overflow) {
	int64_t r;
	*overflow = __builtin_mul_overflow(a, b, &r);
	return r;
}
OWN ti lj_muloti4(ti a, ti b, int *overflow) {
	ti r;
	*overflow = __builtin_mul_overflow(a, b, &r);
	return r;
}

OWN float lj_h2f(uint16_t h) {
	_Float16 f;
	memcpy(&f, &h, 2);
	return (float)f;
}
OWN uint16_t lj_f2h(float x) {
	_Float16 f = (_Float16)x;
	uint16_t h;
	memcpy(&h, &f, 2);
	return h;
}

// __builtin_cpu_supports reads these; those of libgcc.a, which are one set.
extern unsigned __cpu_features2[];
extern struct {
	unsigned words[4];
} __cpu_model;
extern int __cpu_indicator_init(void);

static const struct lj_builtin builtins[] = {
	{"__truncsfbf2", lj_truncsfbf2},
	{"__truncdfbf2", lj_truncdfbf2},
	{"__truncxfbf2", lj_truncxfbf2},
	{"__trunctfbf2", lj_trunctfbf2},
	{"__extendbfsf2", lj_extendbfsf2},
	{"__mulosi4", lj_mulosi4},
	{"__mulodi4", lj_mulodi4},
	{"__muloti4", lj_muloti4},
	{"__gnu_h2f_ieee", lj_h2f},
	{"__gnu_f2h_ieee", lj_f2h},
	{"__cpu_features2", __cpu_features2, 1},
	{"__cpu_model", &__cpu_model, 1},
	{"__cpu_indicator_init", __cpu_indicator_init},
	{0, 0},
};

const struct lj_builtin *lj_builtin_at(unsigned i) { return &builtins[i]; }
