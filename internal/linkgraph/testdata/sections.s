# Every kind of section and symbol that has a rule of its own.
.section .text.f,"ax",@progbits
.globl f
.type f,@function
f:	.cfi_startproc
	.cfi_personality 0x9b, DW.ref.personality
	.cfi_lsda 0x1b, .Llsda
	call f.cold
	movq variable(%rip), %rax
	leaq large(%rip), %rcx
	movq $absolute, %rdx
	ret
	.cfi_endproc
	.size f, .-f
.globl f_alias
.type f_alias,@function
.set f_alias, f
.section .text.unlikely.f,"ax",@progbits
.type f.cold,@function
f.cold:	.cfi_startproc
	ud2
	.cfi_endproc
.section .gcc_except_table.f,"a",@progbits
.Llsda:	.byte 0xff, 0xff, 1, 0
.section .text.hand,"ax",@progbits
.globl hand
hand:	ret
.local_label:	ret
.section .text.group,"axG",@progbits,inline_function,comdat
.weak inline_function
.type inline_function,@function
inline_function: ret
.section .data.variable,"aw",@progbits
.type variable,@object
variable: .quad end_of_data
.globl end_of_data
end_of_data:
.size variable, 8
.section .bss.zero,"aw",@nobits
.globl zero
.type zero,@object
.p2align 5
zero:	.skip 100
.section .data.rel.ro.vtable,"aw",@progbits
.globl vtable
.type vtable,@object
vtable:	.quad f, inline_function
.section .lrodata,"al",@progbits
.globl large
.type large,@object
large:	.quad 0
.section .lbss.big,"awl",@nobits
.globl big
.type big,@object
big:	.skip 8
.section .tdata,"awT",@progbits
.globl tls_variable
.type tls_variable,@object
tls_variable: .long 5
.comm common_symbol, 24, 16
.weak undefined_weak
.globl absolute
.set absolute, 0x1234
.section .data.pointers,"aw",@progbits
.globl pointers
.hidden pointers
.type pointers,@object
pointers: .quad undefined_weak, common_symbol, absolute, __start_names
.section names,"a",@progbits
.quad 1
.section __patchable_function_entries,"awo",@progbits,.text.f
.quad .text.f
.section .init_array.7,"aw",@init_array
.quad f
.section .llvm_stackmaps,"a",@progbits
.quad f
.section .gnu.warning.f,"",@progbits
.ascii "do not use f"
.section .note.GNU-stack,"",@progbits
.section .empty,"a",@progbits
