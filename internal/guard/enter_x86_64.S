// Crossings between host and native code, System V AMD64.
#include "layout.h"
#include "../threads/lj_threads.h"

	.section .rodata
	.balign 4
default_mxcsr:
	.long 0x1f80
default_x87cw:
	.word 0x37f

	.text

// Loads the address, relative to %fs, of this thread's innermost landing.
.macro current reg
	movq lj_current@gottpoff(%rip), \reg
.endm

// Saves the callee-saved registers but rbp below rbp's slot, and describes them to unwinders.
.macro save_registers
	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
.endm

.macro restore_registers
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, 8
.endm

// void lj_nothing(void)
// Returns, and changes no register.
	.globl lj_nothing
	.hidden lj_nothing
	.type lj_nothing, @function
	.balign 16
lj_nothing:
	.cfi_startproc
	endbr64
	retq
	.cfi_endproc
	.size lj_nothing, .-lj_nothing

// int lj_enter(struct lj_frame *f, struct lj_landing *l)
// Calls f->fn with f's arguments, stores its results. In: rdi f, rsi l. Out: eax lj_reason. Callee-saved registers are as before, also if the
// function ends by a landing jump; the floating-point control words are Go's, whatever the function has set. Frame after the prologue (rsp 16-aligned):
//   rbp-40 .. rbp-8  r15 r14 r13 r12 rbx
//   rbp-56           l
//   rbp-64           scratch for the control words; landing sp points here
#define ENTER_BELOW_RBP 64
	.globl lj_enter
	.hidden lj_enter
	.type lj_enter, @function
	.balign 16
lj_enter:
	.cfi_startproc
	endbr64
	save_registers
	subq $24, %rsp
	movq %rsi, 8(%rsp)
	movq %rdi, %rbx
	movq %rsi, %r12
	current %r13
	movq %fs:(%r13), %rax
	movq %rax, LJ_LANDING_PREVIOUS(%rsi)
	movq %rsp, LJ_LANDING_SP(%rsi)
	movq %rsi, %fs:(%r13)		// from here on the landing is valid

	movl LJ_FRAME_NSTACK(%rbx), %ecx
	testl %ecx, %ecx
	jz 2f
	leaq 8(,%rcx,8), %rax		// words, 16-aligned
	andq $-16, %rax
	subq %rax, %rsp
1:	movq LJ_FRAME_STACK-8(%rbx,%rcx,8), %rax
	movq %rax, -8(%rsp,%rcx,8)
	decq %rcx
	jnz 1b
2:
	movsd LJ_FRAME_FLOAT+0(%rbx), %xmm0
	movsd LJ_FRAME_FLOAT+8(%rbx), %xmm1
	movsd LJ_FRAME_FLOAT+16(%rbx), %xmm2
	movsd LJ_FRAME_FLOAT+24(%rbx), %xmm3
	movsd LJ_FRAME_FLOAT+32(%rbx), %xmm4
	movsd LJ_FRAME_FLOAT+40(%rbx), %xmm5
	movsd LJ_FRAME_FLOAT+48(%rbx), %xmm6
	movsd LJ_FRAME_FLOAT+56(%rbx), %xmm7
	movq LJ_FRAME_INT+0(%rbx), %rdi
	movq LJ_FRAME_INT+8(%rbx), %rsi
	movq LJ_FRAME_INT+16(%rbx), %rdx
	movq LJ_FRAME_INT+24(%rbx), %rcx
	movq LJ_FRAME_INT+32(%rbx), %r8
	movq LJ_FRAME_INT+40(%rbx), %r9
	movl $8, %eax			// variadic functions: upper bound of vector registers used
	callq *LJ_FRAME_FN(%rbx)
	.globl lj_enter_return
	.hidden lj_enter_return
lj_enter_return:
	movq %rax, LJ_FRAME_RET_INT+0(%rbx)
	movq %rdx, LJ_FRAME_RET_INT+8(%rbx)
	movsd %xmm0, LJ_FRAME_RET_FLOAT+0(%rbx)
	movsd %xmm1, LJ_FRAME_RET_FLOAT+8(%rbx)
	movl LJ_FRAME_X87(%rbx), %ecx
	testl %ecx, %ecx
	jz 3f
	fstpt LJ_FRAME_RET_X87+0(%rbx)
	decl %ecx
	jz 3f
	fstpt LJ_FRAME_RET_X87+16(%rbx)
3:	xorl %eax, %eax
	leaq -ENTER_BELOW_RBP(%rbp), %rsp

.Lleave:	// eax reason, rsp landing sp, rbp this frame, r12 landing
	current %rdx
	movq LJ_LANDING_PREVIOUS(%r12), %rcx
	movq %rcx, %fs:(%rdx)
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	movl (%rsp), %ecx
	andl $0xffc0, %ecx		// control bits; the rest is status
	cmpl $0x1f80, %ecx
	jne 5f
4:	cmpw $0x37f, 4(%rsp)
	jne 6f
7:	addq $24, %rsp
	.cfi_remember_state
	restore_registers
	ret
	.cfi_restore_state
5:	ldmxcsr default_mxcsr(%rip)
	jmp 4b
6:	fldcw default_x87cw(%rip)
	jmp 7b

.Llanded:	// eax reason, rsp landing sp; every other register is whatever the native code had
	leaq ENTER_BELOW_RBP(%rsp), %rbp
	movq 8(%rsp), %r12
	cld
	fninit				// also sets the default control word
	ldmxcsr default_mxcsr(%rip)
	jmp .Lleave
	.cfi_endproc
	.size lj_enter, .-lj_enter

// noreturn void lj_jump(struct lj_landing *l, int reason)
// Goes on at l: returns from its lj_enter with reason, or ends the detour. Uses no stack, so that a signal handler can make a thread go on here.
	.globl lj_jump
	.hidden lj_jump
	.type lj_jump, @function
	.balign 16
lj_jump:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movl %esi, %eax
	movq LJ_LANDING_DETOUR(%rdi), %rdx
	movq LJ_LANDING_SP(%rdi), %rsp
	testq %rdx, %rdx
	jz .Llanded
	// Back to the caller of lj_detour. Its stack is put back from the copy; rsp is moved below it first.
	cld
	movq LJ_DETOUR_SP(%rdx), %rsp
	movq LJ_DETOUR_SIZE(%rdx), %rcx
	movq LJ_DETOUR_COPY(%rdx), %rsi
	movq %rdi, %rax
	movq %rsp, %rdi
	rep movsb
	movq $0, LJ_LANDING_DETOUR(%rax)
	fninit
	ldmxcsr default_mxcsr(%rip)
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.cfi_endproc
	.size lj_jump, .-lj_jump

// lj_hijacked: a return address that takes the place of one into JIT code (interrupt.cpp). Ends the innermost entry as interrupted; unwinders see the end
// of the stack.
	.globl lj_hijacked
	.hidden lj_hijacked
	.type lj_hijacked, @function
	.balign 16
	.cfi_startproc
	.cfi_undefined %rip
	nop				// unwinders look up the byte before a return address
lj_hijacked:
	endbr64
	current %rdi
	movq %fs:(%rdi), %rdi
	movl $LJ_REASON_INTERRUPTED, %esi
	jmp lj_jump
	.cfi_endproc
	.size lj_hijacked, .-lj_hijacked

// void lj_detour(struct lj_landing *l, struct lj_callback *c, struct lj_detour *d)
// Unwinds the native frames from callback (or miss) c down to l and returns, though its own frame lies deeper on the same stack, behind Go frames: the stack from here up to
// c's frame is copied aside, the unwinding runs from c's frame over it, and the landing jump copies it back. d->copy has room for it.
	.globl lj_detour
	.hidden lj_detour
	.type lj_detour, @function
	.balign 16
lj_detour:
	.cfi_startproc
	endbr64
	save_registers
	movq %rsp, LJ_DETOUR_SP(%rdx)
	movq %rdi, %rax
	movq %rsi, %rbx
	movq %rsi, %rcx
	subq %rsp, %rcx
	movq %rcx, LJ_DETOUR_SIZE(%rdx)
	movq %rsp, %rsi
	movq LJ_DETOUR_COPY(%rdx), %rdi
	cld
	rep movsb
	movq %rdx, LJ_LANDING_DETOUR(%rax)
	movq %rbx, %rsp
	leaq LJ_CALLBACK_BELOW_RBP(%rbx), %rbp
	movl $LJ_REASON_GOEXIT, %eax
	jmp lj_callback_unwind
	.cfi_endproc
	.size lj_detour, .-lj_detour

// Callbacks: native code comes here from a thunk (CallbackHandle.Code) with the id in r11 and everything else as at a C call.
// Saves the argument registers in a struct lj_callback, takes the landing away while Go runs, and calls the Go dispatcher. Clobbers what a C function may.
// Frame after the prologue: rbp-40 .. rbp-8 the callee-saved registers (for lj_detour, after which they are gone), rbp-LJ_CALLBACK_BELOW_RBP the struct lj_callback, rsp 16-aligned.

	.globl lj_callback_closure
	.hidden lj_callback_closure
	.type lj_callback_closure, @function
	.balign 16
lj_callback_closure:
	.cfi_startproc
	endbr64
	movq %rdi, %r11
	jmp lj_callback_entry
	.cfi_endproc
	.size lj_callback_closure, .-lj_callback_closure

	.globl lj_callback_entry
	.hidden lj_callback_entry
	.type lj_callback_entry, @function
	.balign 16
lj_callback_entry:
	.cfi_startproc
	endbr64
	save_registers
	subq $LJ_CALLBACK_SIZE, %rsp
	movq %rdi, LJ_CALLBACK_INT+0(%rsp)
	movq %rsi, LJ_CALLBACK_INT+8(%rsp)
	movq %rdx, LJ_CALLBACK_INT+16(%rsp)
	movq %rcx, LJ_CALLBACK_INT+24(%rsp)
	movq %r8, LJ_CALLBACK_INT+32(%rsp)
	movq %r9, LJ_CALLBACK_INT+40(%rsp)
	movsd %xmm0, LJ_CALLBACK_FLOAT+0(%rsp)
	movsd %xmm1, LJ_CALLBACK_FLOAT+8(%rsp)
	movsd %xmm2, LJ_CALLBACK_FLOAT+16(%rsp)
	movsd %xmm3, LJ_CALLBACK_FLOAT+24(%rsp)
	movsd %xmm4, LJ_CALLBACK_FLOAT+32(%rsp)
	movsd %xmm5, LJ_CALLBACK_FLOAT+40(%rsp)
	movsd %xmm6, LJ_CALLBACK_FLOAT+48(%rsp)
	movsd %xmm7, LJ_CALLBACK_FLOAT+56(%rsp)
	pxor %xmm0, %xmm0
	movups %xmm0, LJ_CALLBACK_RET_INT(%rsp)
	movups %xmm0, LJ_CALLBACK_RET_FLOAT(%rsp)
	leaq 16(%rbp), %rax
	movq %rax, LJ_CALLBACK_STACK(%rsp)
	movq %r11, LJ_CALLBACK_ID(%rsp)
	current %rbx
	movq %fs:(%rbx), %rax
	movq %rax, LJ_CALLBACK_LANDING(%rsp)
	movq $0, %fs:(%rbx)
	movq lj_thread_state@gottpoff(%rip), %rax
	movq %fs:LJ_THREAD_CALLBACK(%rax), %rcx
	movq %rcx, LJ_CALLBACK_OUTER(%rsp)
	movq %rsp, %fs:LJ_THREAD_CALLBACK(%rax)	// native frames lie at and above this while Go runs
	movq lj_crossing@gottpoff(%rip), %rcx
	movq %rbp, %fs:(%rcx)		// for lj_context

	stmxcsr LJ_CALLBACK_MXCSR(%rsp)
	fnstcw LJ_CALLBACK_X87CW(%rsp)
	movl LJ_CALLBACK_MXCSR(%rsp), %eax
	andl $0xffc0, %eax
	cmpl $0x1f80, %eax
	jne 5f
1:	cmpw $0x37f, LJ_CALLBACK_X87CW(%rsp)
	jne 6f
2:	movq %rsp, %rdi
	callq ljGuardDispatch
	ldmxcsr LJ_CALLBACK_MXCSR(%rsp)
	fldcw LJ_CALLBACK_X87CW(%rsp)
	movq LJ_CALLBACK_LANDING(%rsp), %rcx
	movq %rcx, %fs:(%rbx)
	movq lj_thread_state@gottpoff(%rip), %rdx
	movq LJ_CALLBACK_OUTER(%rsp), %rcx
	movq %rcx, %fs:LJ_THREAD_CALLBACK(%rdx)
	testl %eax, %eax
	jnz lj_callback_unwind
	movq LJ_CALLBACK_RET_INT+0(%rsp), %rax
	movq LJ_CALLBACK_RET_INT+8(%rsp), %rdx
	movsd LJ_CALLBACK_RET_FLOAT+0(%rsp), %xmm0
	movsd LJ_CALLBACK_RET_FLOAT+8(%rsp), %xmm1
	addq $LJ_CALLBACK_SIZE, %rsp
	.cfi_remember_state
	restore_registers
	ret
	.cfi_restore_state
5:	ldmxcsr default_mxcsr(%rip)
	jmp 1b
6:	fldcw default_x87cw(%rip)
	jmp 2b
	.globl lj_callback_unwind
	.hidden lj_callback_unwind
lj_callback_unwind:	// eax reason, rsp the struct lj_callback, rbp this frame or that of lj_miss, which unwinders see alike
	movq %rsp, %rdi
	movl %eax, %esi
	callq lj_callback_failed
	ud2
	.cfi_endproc
	.size lj_callback_entry, .-lj_callback_entry

// void lj_walk_from(struct lj_callback *c, void (*f)(void *), void *arg)
// Calls f(arg). For unwinders the frame that calls f is that of lj_callback_entry for c, though it lies on the other side of Go frames: its CFA and the registers
// it has saved are described, not this function's.
	.globl lj_walk_from, lj_walk_origin
	.hidden lj_walk_from, lj_walk_origin
	.type lj_walk_from, @function
	.balign 16
lj_walk_from:
	.cfi_startproc
	endbr64
	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	.cfi_remember_state
	leaq LJ_CALLBACK_BELOW_RBP(%rdi), %rbp
	.cfi_def_cfa %rbp, 16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	movq %rdx, %rdi
	callq *%rsi
lj_walk_origin:
	nop
	.cfi_restore_state
	popq %rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size lj_walk_from, .-lj_walk_from

	.section .note.GNU-stack,"",@progbits
