// Calls of stubs that lead nowhere, of all kinds, with the functions that they are to reach.
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

// missed_target is the function that a call of a kind is to reach, missed_kind the kind's name, NULL after the last.
void *missed_target(int kind);
const char *missed_kind(int kind);

// missed_call calls fn as a function of that kind and returns 1 if it got all arguments and gave all results; 0 if not, -1 if the
// processor cannot.
int64_t missed_call(int kind, void *fn);

// missed_call_at_once calls fn(i) on each of n new threads, which wait for each other first, and returns the sum of what came back.
int64_t missed_call_at_once(int64_t (*fn)(int64_t), int64_t n);

// break_errno sets errno, as most of the C library may.
void break_errno(void);

// registers_kept calls fn, which must lead to registers_dump, with a value of its own in each register, and returns 0 if all arrived; else 1 + the number of a general register in the
// processor's order, or 100 + the byte of the XSAVE area; -1 if the processor has no XSAVE.
int64_t registers_kept(void *fn);
void registers_dump(void);

int64_t hold_call(void *fn, uint64_t inverted, int which); // registers_x86_64.S

// step_miss calls fn, whose miss leads to registers_dump, and unwinds at each instruction in [lo, hi) that the call executes; not in the function run, which it calls. Returns the number of
// instructions if the unwinder saw the caller's frame with the right registers at each, else minus the offset of the first where not, minus one.
int64_t step_miss(void *fn, char *lo, char *hi, void *run);

#ifdef __cplusplus
}
#endif
