// Access to thread-local storage, System V AMD64. The fast paths are a few loads; the table belongs to the thread (tls.c).
#include "tls.h"

	.text

// Looks the block up. In: rdi struct lj_tls_index. Out: rax its address. Clobbers scratch and flags. Jumps to \slow if the thread has no block yet, \host if
// the module is the dynamic linker's; rdi is as before then.
.macro find_block scratch, slow, host
	movq (%rdi), %rax
	btrq $LJ_TLS_TAG_BIT, %rax
	jnc \host
	movq lj_tls_count@gottpoff(%rip), \scratch
	cmpq %fs:(\scratch), %rax
	jae \slow
	movq lj_tls_blocks@gottpoff(%rip), \scratch
	movq %fs:(\scratch), \scratch
	movq (\scratch,%rax,8), %rax
	testq %rax, %rax
	jz \slow
.endm

// void *lj_tls_get_addr(struct lj_tls_index *): __tls_get_addr for JIT code. Ordinary calling convention, but the stack need not be aligned: old gccs call it so
// (gcc bug 58066), and glibc's takes it too.
	.globl lj_tls_get_addr
	.hidden lj_tls_get_addr
	.type lj_tls_get_addr, @function
	.balign 16
lj_tls_get_addr:
	.cfi_startproc
	endbr64
	find_block %rdx, 1f, 2f
	addq 8(%rdi), %rax
	ret
1:	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	andq $-16, %rsp
	callq lj_tls_slow
	leave
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, 8
	ret
2:	jmp __tls_get_addr@PLT
	.cfi_endproc
	.size lj_tls_get_addr, .-lj_tls_get_addr

// TLS descriptor resolvers. In: rax the descriptor. Out: rax distance from the thread pointer. All other registers are preserved, flags are not.
	.globl lj_tlsdesc_static
	.hidden lj_tlsdesc_static
	.type lj_tlsdesc_static, @function
	.balign 16
lj_tlsdesc_static:
	.cfi_startproc
	endbr64
	movq 8(%rax), %rax
	ret
	.cfi_endproc
	.size lj_tlsdesc_static, .-lj_tlsdesc_static

	.globl lj_tlsdesc_dynamic
	.hidden lj_tlsdesc_dynamic
	.type lj_tlsdesc_dynamic, @function
	.balign 16
lj_tlsdesc_dynamic:
	.cfi_startproc
	endbr64
	pushq %rdi
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rdi, 0
	pushq %rdx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rdx, 0
	movq 8(%rax), %rdi
	find_block %rdx, 1f, 1f
	addq 8(%rdi), %rax
2:	subq %fs:0, %rax
	popq %rdx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rdx
	popq %rdi
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rdi
	ret
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset %rdi, 8
	.cfi_rel_offset %rdx, 0

	// The first access of a thread, or a host variable outside the static block: C code runs, so everything it may clobber is saved.
1:	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq %rcx
	pushq %rsi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	.cfi_rel_offset %rbx, -56
	movq lj_xsave_size(%rip), %rcx
	testq %rcx, %rcx
	jz 3f
	subq %rcx, %rsp
	andq $-64, %rsp
	// The header must not hold what the stack held (Intel SDM 13.7: XSAVE writes only part of it).
	xorl %eax, %eax
	movq %rax, 512(%rsp)
	movq %rax, 520(%rsp)
	movq %rax, 528(%rsp)
	movq %rax, 536(%rsp)
	movq %rax, 544(%rsp)
	movq %rax, 552(%rsp)
	movq %rax, 560(%rsp)
	movq %rax, 568(%rsp)
	movl lj_xsave_mask(%rip), %eax
	xorl %edx, %edx			// the mask has no bits above 31
	xsave64 (%rsp)
	callq lj_tls_get_addr
	movq %rax, %rbx
	movl lj_xsave_mask(%rip), %eax
	xorl %edx, %edx
	xrstor64 (%rsp)
	jmp 4f
3:	subq $512, %rsp
	andq $-16, %rsp
	fxsave64 (%rsp)
	callq lj_tls_get_addr
	movq %rax, %rbx
	fxrstor64 (%rsp)
4:	movq %rbx, %rax
	leaq -56(%rbp), %rsp
	popq %rbx
	.cfi_restore %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rsi
	popq %rcx
	popq %rbp
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, 24
	jmp 2b
	.cfi_endproc
	.size lj_tlsdesc_dynamic, .-lj_tlsdesc_dynamic

	.section .note.GNU-stack,"",@progbits
