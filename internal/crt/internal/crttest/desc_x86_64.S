// uint64_t call_descriptor(uint64_t *descriptor, struct state *before, struct state *after, uint64_t avx)
// Loads registers from *before, calls the descriptor as compilers do, stores registers to *after. Returns the descriptor's answer.
// struct state: 13 words rbx rcx rdx rsi rdi rbp r8-r14, r15, 16 bytes x87, 16 x 32 bytes vectors.
#ifdef __x86_64__
	.text
.macro vectors op
	\op 0
	\op 1
	\op 2
	\op 3
	\op 4
	\op 5
	\op 6
	\op 7
	\op 8
	\op 9
	\op 10
	\op 11
	\op 12
	\op 13
	\op 14
	\op 15
.endm
.macro load_y n
	vmovups 128+32*\n(%rax), %ymm\n
.endm
.macro store_y n
	vmovups %ymm\n, 128+32*\n(%rax)
.endm
.macro load_x n
	movups 128+32*\n(%rax), %xmm\n
.endm
.macro store_x n
	movups %xmm\n, 128+32*\n(%rax)
.endm
	.globl call_descriptor
	.hidden call_descriptor
	.type call_descriptor, @function
call_descriptor:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rcx			// 24: avx
	pushq %rdx			// 16: after
	pushq %rdi			// 8: descriptor
	pushq %rsi			// 0: before
	movq %rsi, %rax
	testq %rcx, %rcx
	jz 1f
	vectors load_y
	jmp 2f
1:	vectors load_x
2:	fldt 112(%rax)
	movq 0(%rax), %rbx
	movq 8(%rax), %rcx
	movq 16(%rax), %rdx
	movq 24(%rax), %rsi
	movq 32(%rax), %rdi
	movq 40(%rax), %rbp
	movq 48(%rax), %r8
	movq 56(%rax), %r9
	movq 64(%rax), %r10
	movq 72(%rax), %r11
	movq 80(%rax), %r12
	movq 88(%rax), %r13
	movq 96(%rax), %r14
	movq 104(%rax), %r15
	movq 8(%rsp), %rax
	callq *(%rax)
	movq %rax, 0(%rsp)		// the answer
	movq 16(%rsp), %rax
	movq %rbx, 0(%rax)
	movq %rcx, 8(%rax)
	movq %rdx, 16(%rax)
	movq %rsi, 24(%rax)
	movq %rdi, 32(%rax)
	movq %rbp, 40(%rax)
	movq %r8, 48(%rax)
	movq %r9, 56(%rax)
	movq %r10, 64(%rax)
	movq %r11, 72(%rax)
	movq %r12, 80(%rax)
	movq %r13, 88(%rax)
	movq %r14, 96(%rax)
	movq %r15, 104(%rax)
	fstpt 112(%rax)
	cmpq $0, 24(%rsp)
	jz 3f
	vectors store_y
	vzeroupper
	jmp 4f
3:	vectors store_x
4:	popq %rax
	addq $24, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size call_descriptor, .-call_descriptor
#endif
	.section .note.GNU-stack,"",@progbits
