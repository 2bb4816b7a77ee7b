// Functions that note that they were called and go on at libc's, with all arguments as they were.

// void name(...): calls note, jumps to target. Keeps rdi rsi rdx rcx r8 r9 rax; variadic integer arguments on the stack stay where they are. Clobbers r10, r11.
.macro pass name, note, target
	.globl \name
	.hidden \name
	.type \name, @function
	.balign 16
\name:
	.cfi_startproc
	endbr64
	.irp r, rdi, rsi, rdx, rcx, r8, r9, rax
	pushq %\r
	.cfi_adjust_cfa_offset 8
	.endr
	callq \note	// 7 words and the return address: rsp is 16-aligned
	.irp r, rax, r9, r8, rcx, rdx, rsi, rdi
	popq %\r
	.cfi_adjust_cfa_offset -8
	.endr
	jmpq *\target@GOTPCREL(%rip)
	.cfi_endproc
	.size \name, .-\name
.endm

	.text
	pass lj_clone, note_clone, clone
	pass lj_makecontext, note_makecontext, makecontext

	.section .note.GNU-stack,"",@progbits
