// Every register with a value of its own, through a call. See missed.h and missed.cpp.

	.text

// void registers_call(void *fn, const uint64_t *general, const void *state)
// Loads rax rcx rdx rbx - rbp rsi rdi r8 ... r15 (the processor's order) from general, the rest from the XSAVE area state, calls fn. registers_sp is the stack pointer at the call;
// registers_return its return address.
	.globl registers_call
	.hidden registers_call
	.type registers_call, @function
registers_call:
	.cfi_startproc
	pushq %rbp
	.cfi_def_cfa_offset 16
	pushq %rbx
	.cfi_def_cfa_offset 24
	pushq %r12
	.cfi_def_cfa_offset 32
	pushq %r13
	.cfi_def_cfa_offset 40
	pushq %r14
	.cfi_def_cfa_offset 48
	pushq %r15
	.cfi_def_cfa_offset 56
	pushq %rdi
	.cfi_def_cfa_offset 64
	movq %rsp, registers_sp(%rip)
	movq %rsi, %r11
	movq %rdx, %rbx
	movl registers_components(%rip), %eax
	xorl %edx, %edx
	testl %eax, %eax
	jz 1f
	xrstor64 (%rbx)
1:	movq 0(%r11), %rax
	movq 8(%r11), %rcx
	movq 16(%r11), %rdx
	movq 24(%r11), %rbx
	movq 40(%r11), %rbp
	movq 48(%r11), %rsi
	movq 56(%r11), %rdi
	movq 64(%r11), %r8
	movq 72(%r11), %r9
	movq 80(%r11), %r10
	movq 96(%r11), %r12
	movq 104(%r11), %r13
	movq 112(%r11), %r14
	movq 120(%r11), %r15
	movq 88(%r11), %r11
	pushfq
	.cfi_adjust_cfa_offset 8
	pushq %rax
	.cfi_adjust_cfa_offset 8
	movq registers_flags(%rip), %rax	// the trap flag, for step_miss
	orq %rax, 8(%rsp)
	popq %rax
	.cfi_adjust_cfa_offset -8
	popfq
	.cfi_adjust_cfa_offset -8
	callq *(%rsp)
	.globl registers_return
	.hidden registers_return
registers_return:
	fninit
	ldmxcsr default_mxcsr(%rip)
	addq $8, %rsp
	.cfi_def_cfa_offset 56
	popq %r15
	.cfi_def_cfa_offset 48
	popq %r14
	.cfi_def_cfa_offset 40
	popq %r13
	.cfi_def_cfa_offset 32
	popq %r12
	.cfi_def_cfa_offset 24
	popq %rbx
	.cfi_def_cfa_offset 16
	popq %rbp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size registers_call, .-registers_call

// Writes what it finds to registers_general and registers_state, changes nothing that a C function may not.
	.globl registers_dump
	.hidden registers_dump
	.type registers_dump, @function
registers_dump:
	.cfi_startproc
	movq %rax, registers_general+0(%rip)
	movq %rcx, registers_general+8(%rip)
	movq %rdx, registers_general+16(%rip)
	movq %rbx, registers_general+24(%rip)
	movq %rsp, registers_general+32(%rip)
	movq %rbp, registers_general+40(%rip)
	movq %rsi, registers_general+48(%rip)
	movq %rdi, registers_general+56(%rip)
	movq %r8, registers_general+64(%rip)
	movq %r9, registers_general+72(%rip)
	movq %r10, registers_general+80(%rip)
	movq %r11, registers_general+88(%rip)
	movq %r12, registers_general+96(%rip)
	movq %r13, registers_general+104(%rip)
	movq %r14, registers_general+112(%rip)
	movq %r15, registers_general+120(%rip)
	movl registers_components(%rip), %eax
	xorl %edx, %edx
	testl %eax, %eax
	jz 1f
	xsave64 registers_state(%rip)
1:	ret
	.cfi_endproc
	.size registers_dump, .-registers_dump

// int64_t chain_call(void *fn): fn with 42 in r10, the static chain. chain_target returns r10.
	.globl chain_call, chain_target
	.hidden chain_call, chain_target
	.type chain_call, @function
chain_call:
	movl $42, %r10d
	jmp *%rdi
	.size chain_call, .-chain_call
	.type chain_target, @function
chain_target:
	movq %r10, %rax
	ret
	.size chain_target, .-chain_target

// int64_t hold_call(void *fn, uint64_t inverted, int which): fn while ~inverted is in one register, by which: 1 rax, 2 r10, 3 r11, 4 r13, 5 xmm9.
	.globl hold_call
	.hidden hold_call
	.type hold_call, @function
hold_call:
	.cfi_startproc
	pushq %r13
	.cfi_def_cfa_offset 16
	.cfi_offset %r13, -16
	xorl %eax, %eax
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	xorl %r13d, %r13d
	xorl %ecx, %ecx
	pxor %xmm9, %xmm9
	notq %rsi
	cmpl $1, %edx
	cmoveq %rsi, %rax
	cmpl $2, %edx
	cmoveq %rsi, %r10
	cmpl $3, %edx
	cmoveq %rsi, %r11
	cmpl $4, %edx
	cmoveq %rsi, %r13
	cmpl $5, %edx
	cmoveq %rsi, %rcx
	movq %rcx, %xmm9
	xorl %ecx, %ecx
	xorl %esi, %esi
	callq *%rdi
	popq %r13
	.cfi_restore %r13
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size hold_call, .-hold_call

// Where lj_miss_run returns to while step_miss steps: sets the trap flag and goes to step_resume. Every register is kept.
	.globl step_again
	.hidden step_again
	.type step_again, @function
step_again:
	pushq step_resume(%rip)
	pushfq
	orq $0x100, (%rsp)
	popfq
	ret
	.size step_again, .-step_again

	.section .rodata
	.balign 4
default_mxcsr:
	.long 0x1f80

	.section .note.GNU-stack,"",@progbits
