// The C side of a miss: what happens between saving the registers and asking Go. See miss_x86_64.S.
#include "guard.h"
#include "layout.h"
#include "../threads/lj_threads.h"

#include <cerrno>
#include <cpuid.h>

#pragma GCC visibility push(hidden)
extern "C" {
extern __thread lj_landing *lj_current __attribute__((tls_model("initial-exec"))); // edge.cpp
extern __thread uintptr_t lj_crossing __attribute__((tls_model("initial-exec")));  // edge.cpp
int ljGuardMiss(lj_callback *c);                                                    // guard_cgo.go

uint32_t lj_miss_components;
uint64_t lj_miss_room = 512;
}
#pragma GCC visibility pop

namespace {

// Intel SDM volume 1, 13.1: x87, SSE, AVX, opmask, upper ZMM, ZMM16-31, APX. Not the tiles of AMX: no calling convention has arguments in them.
constexpr uint32_t components = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 19;
constexpr uint64_t legacy_and_header = 512 + 64;

// Runs before any native code could miss. Intel SDM volume 1, 13.2: CPUID leaf 0DH, sub-leaf i: eax size, ebx offset of component i.
__attribute__((constructor)) void size_state() {
	unsigned eax, ebx, ecx, edx;
	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return;
	uint32_t enabled, high;
	asm volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
	enabled &= components;
	uint64_t room = legacy_and_header;
	for (unsigned i = 2; i < 32; i++)
		if (enabled >> i & 1 && __get_cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx) && ebx + eax > room)
			room = ebx + eax;
	lj_miss_room = room;
	lj_miss_components = enabled;
}

} // namespace

int lj_miss_run(lj_callback *c, uintptr_t saved) {
	const int error = errno;
	c->landing = reinterpret_cast<uint64_t>(lj_current);
	c->outer = lj_thread_state.callback;
	lj_current = nullptr;
	lj_thread_state.callback = saved + LJ_MISS_MARK;
	const uint32_t mxcsr = 0x1f80;
	asm volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
	lj_crossing = reinterpret_cast<uintptr_t>(c) + LJ_CALLBACK_BELOW_RBP;
	int reason = ljGuardMiss(c);
	lj_thread_state.callback = c->outer;
	lj_current = reinterpret_cast<lj_landing *>(c->landing);
	errno = error;
	return reason;
}
