// imports.S: the functions of libclang-cpp that compile.cpp calls, bound when the first source is compiled.
//
// Linking the library would cost every start of the program some 11 ms of relocating it, whether C is compiled or not.
// Instead each function is a jump through a slot that load.c fills; all registers and the stack are passed on as they
// are. An import that is missing here fails the build. Contract of the table: pairs of name and slot, ended by zero.

	.macro import name
	.text
	.p2align 4
	.hidden \name
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	endbr64
	jmp *.Lslot\@(%rip)
	.cfi_endproc
	.size \name, . - \name
	.section .rodata.lj_imports, "a", @progbits
.Lname\@:
	.asciz "\name"
	.local .Lslot\@
	.comm .Lslot\@, 8, 8
	.section .data.rel.lj_imports, "aw", @progbits
	.quad .Lname\@, .Lslot\@
	.endm

	.section .data.rel.lj_imports, "aw", @progbits
	.p2align 3
	.hidden lj_clang_imports
	.globl lj_clang_imports
lj_clang_imports:

	import _ZN5clang13CodeGenAction10takeModuleEv
	import _ZN5clang16CompilerInstance13ExecuteActionERNS_14FrontendActionE
	import _ZN5clang16CompilerInstance17createDiagnosticsEPNS_18DiagnosticConsumerEb
	import _ZN5clang16CompilerInstance17createDiagnosticsERN4llvm3vfs10FileSystemERNS_17DiagnosticOptionsEPNS_18DiagnosticConsumerEbPKNS_14CodeGenOptionsE
	import _ZN5clang16CompilerInstance22setVerboseOutputStreamERN4llvm11raw_ostreamE
	import _ZN5clang16CompilerInstanceC1ESt10shared_ptrINS_18CompilerInvocationEES1_INS_22PCHContainerOperationsEES1_INS_11ModuleCacheEE
	import _ZN5clang16CompilerInstanceD1Ev
	import _ZN5clang16createInvocationEN4llvm8ArrayRefIPKcEENS_23CreateInvocationOptionsE
	import _ZN5clang17DiagnosticsEngineD1Ev
	import _ZN5clang18EmitLLVMOnlyActionC1EPN4llvm11LLVMContextE
	import _ZN5clang21TextDiagnosticPrinterC1ERN4llvm11raw_ostreamERNS_17DiagnosticOptionsEb
	import _ZN5clang22PCHContainerOperationsC1Ev

	.section .data.rel.lj_imports, "aw", @progbits
	.quad 0, 0
	.section .note.GNU-stack, "", @progbits
