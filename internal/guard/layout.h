// Offsets that the assembly needs, in bytes. edge.cpp asserts them against guard.h, guard_cgo.go against the Go structs.
#ifndef LIVEJIT_GUARD_LAYOUT_H
#define LIVEJIT_GUARD_LAYOUT_H

#ifndef __x86_64__
#error "livejit enters native code on x86-64 only so far: another target needs its own enter file and register set (internal/guard)"
#endif

#define LJ_FRAME_FN 0
#define LJ_FRAME_INT 8
#define LJ_FRAME_FLOAT 56
#define LJ_FRAME_RET_INT 120
#define LJ_FRAME_RET_FLOAT 136
#define LJ_FRAME_RET_X87 152
#define LJ_FRAME_X87 184
#define LJ_FRAME_NSTACK 188
#define LJ_FRAME_REPORT 192
#define LJ_FRAME_STACK 808

#define LJ_LANDING_SP 0
#define LJ_LANDING_PREVIOUS 8
#define LJ_LANDING_DETOUR 16
#define LJ_LANDING_CARRIED 24

#define LJ_CALLBACK_INT 0
#define LJ_CALLBACK_FLOAT 48
#define LJ_CALLBACK_RET_INT 112
#define LJ_CALLBACK_RET_FLOAT 128
#define LJ_CALLBACK_STACK 144
#define LJ_CALLBACK_ID 152
#define LJ_CALLBACK_LANDING 160
#define LJ_CALLBACK_MXCSR 168
#define LJ_CALLBACK_X87CW 172
#define LJ_CALLBACK_OUTER 176
#define LJ_CALLBACK_SIZE 184

// Where lj_callback_entry and lj_miss keep the struct, below their rbp and the five callee-saved registers: lj_detour and lj_callback_unwind know
// both frames by this. The size keeps rsp 16-aligned.
#define LJ_CALLBACK_BELOW_RBP (40+LJ_CALLBACK_SIZE)

// While the Go side of a miss runs, the thread's mark (lj_thread_state.callback) is this far above what lj_miss has saved, in its stead the control and
// status words of the x87: so it is told from the mark of a callback, which is a multiple of 16.
#define LJ_MISS_MARK 8

#define LJ_DETOUR_SP 0
#define LJ_DETOUR_SIZE 8
#define LJ_DETOUR_COPY 16

// The values of enum lj_reason that the assembly uses.
#define LJ_REASON_GOEXIT 3
#define LJ_REASON_INTERRUPTED 6

#endif
