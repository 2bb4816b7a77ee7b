// The common entry of stubs that lead nowhere, System V AMD64.
#include "layout.h"

	.text

// Native code comes here from the second half of a stub (stubtable), by a call: with
//   0(%rsp)   the return address of that call, which lies in the stub and names it
//   8(%rsp)   the return address of the caller, to whom this is the function that it called
// Keeps every register that a calling convention can use: the general ones, and by XSAVE vector, mask and x87 registers with both control words. Asks the Go side
// where to go on (lj_miss_run), drops the first word and goes there; if the Go side fails, ends the entry as a failed callback does. The frame is that of
// lj_callback_entry, so that lj_detour and lj_callback_unwind serve both, with more below:
//   CFA-8            return address of the caller
//   CFA-16           rbp; at the end the address to go on at. rbp points here
//   rbp-40 .. rbp-8  r15 r14 r13 r12 rbx
//   rbp-LJ_CALLBACK_BELOW_RBP  struct lj_callback
//   below            rax, r10, r11
//   rsp              the XSAVE area, 64-aligned
#define SAVED(offset) -LJ_CALLBACK_BELOW_RBP+offset(%rbp)
	.globl lj_miss, lj_miss_end
	.hidden lj_miss, lj_miss_end
	.type lj_miss, @function
	.balign 16
lj_miss:
	.cfi_startproc
	.cfi_def_cfa_offset 16		// the caller's frame, as if the stub were not there
	endbr64
	xchgq %rbp, (%rsp)		// rbp takes the stub's place on the stack: no register may be lost
	.cfi_offset %rbp, -16
	pushq %rbx
	.cfi_def_cfa_offset 24
	.cfi_offset %rbx, -24
	pushq %r12
	.cfi_def_cfa_offset 32
	.cfi_offset %r12, -32
	pushq %r13
	.cfi_def_cfa_offset 40
	.cfi_offset %r13, -40
	pushq %r14
	.cfi_def_cfa_offset 48
	.cfi_offset %r14, -48
	pushq %r15
	.cfi_def_cfa_offset 56
	.cfi_offset %r15, -56
	subq $LJ_CALLBACK_SIZE, %rsp
	.cfi_def_cfa_offset 56+LJ_CALLBACK_SIZE
	movq %rbp, LJ_CALLBACK_ID(%rsp)
	leaq LJ_CALLBACK_BELOW_RBP(%rsp), %rbp
	.cfi_def_cfa %rbp, 16
	movq %rdi, SAVED(LJ_CALLBACK_INT+0)
	movq %rsi, SAVED(LJ_CALLBACK_INT+8)
	movq %rdx, SAVED(LJ_CALLBACK_INT+16)
	movq %rcx, SAVED(LJ_CALLBACK_INT+24)
	movq %r8, SAVED(LJ_CALLBACK_INT+32)
	movq %r9, SAVED(LJ_CALLBACK_INT+40)
	pushq %rax
	pushq %r10
	pushq %r11
	subq lj_miss_room(%rip), %rsp
	andq $-64, %rsp
	movl lj_miss_components(%rip), %eax
	testl %eax, %eax
	jz 1f
	xorl %edx, %edx
	movq %rdx, 512(%rsp)		// XSAVE does not write all of its header, XRSTOR wants zeros in the rest
	movq %rdx, 520(%rsp)
	movq %rdx, 528(%rsp)
	movq %rdx, 536(%rsp)
	movq %rdx, 544(%rsp)
	movq %rdx, 552(%rsp)
	movq %rdx, 560(%rsp)
	movq %rdx, 568(%rsp)
	xsave64 (%rsp)
	testb $4, %al
	jz 2f
	vzeroupper			// or SSE code is slow on some processors
	jmp 2f
1:	fxsave64 (%rsp)
2:	leaq SAVED(0), %rdi
	movq %rsp, %rsi
	callq lj_miss_run
	movl %eax, %ebx
	movl lj_miss_components(%rip), %eax
	testl %eax, %eax
	jz 3f
	xorl %edx, %edx
	xrstor64 (%rsp)
	jmp 4f
3:	fxrstor64 (%rsp)
4:	testl %ebx, %ebx
	jnz 5f
	movq SAVED(-8), %rax
	movq SAVED(-16), %r10
	movq SAVED(-24), %r11
	movq SAVED(LJ_CALLBACK_INT+0), %rdi
	movq SAVED(LJ_CALLBACK_INT+8), %rsi
	movq SAVED(LJ_CALLBACK_INT+16), %rdx
	movq SAVED(LJ_CALLBACK_INT+24), %rcx
	movq SAVED(LJ_CALLBACK_INT+32), %r8
	movq SAVED(LJ_CALLBACK_INT+40), %r9
	.cfi_remember_state
	leaq -40(%rbp), %rsp
	.cfi_def_cfa %rsp, 56
	movq LJ_CALLBACK_RET_INT-LJ_CALLBACK_SIZE(%rsp), %rbp	// in the red zone now
	popq %r15
	.cfi_def_cfa_offset 48
	.cfi_restore %r15
	popq %r14
	.cfi_def_cfa_offset 40
	.cfi_restore %r14
	popq %r13
	.cfi_def_cfa_offset 32
	.cfi_restore %r13
	popq %r12
	.cfi_def_cfa_offset 24
	.cfi_restore %r12
	popq %rbx
	.cfi_def_cfa_offset 16
	.cfi_restore %rbx
	xchgq %rbp, (%rsp)
	.cfi_restore %rbp
	ret				// to the function; the stub's call and this keep the processor's stack of return addresses even
	.cfi_restore_state
5:	leaq SAVED(0), %rsp
	movl %ebx, %eax
	jmp lj_callback_unwind
lj_miss_end:
	.cfi_endproc
	.size lj_miss, .-lj_miss

	.section .note.GNU-stack,"",@progbits
