# The small code model of AArch64.
.section .text.f,"ax",@progbits
.globl f
.type f,@function
f:	.cfi_startproc
	bl g
	adrp x0, .Lstring
	add x0, x0, :lo12:.Lstring
	adrp x1, :got:elsewhere
	ldr x1, [x1, :got_lo12:elsewhere]
	ret
	.cfi_endproc
.section .text.g,"ax",@progbits
.type g,@function
g:	ret
.section .rodata.str1.1,"aMS",@progbits,1
.Lunused: .string "unused"
.Lstring: .string "text"
.data
.globl pointer
.type pointer,@object
pointer: .xword g
