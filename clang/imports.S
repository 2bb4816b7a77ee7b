// imports.S: the functions of libclang-cpp that compile.cpp and declarations.cpp call, bound when the first source is compiled.
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
	import _ZN5clang13SourceManager13loadSLocEntryEjPb
	import _ZN5clang14FrontendAction15BeginSourceFileERNS_16CompilerInstanceERKNS_17FrontendInputFileE
	import _ZN5clang14FrontendAction7ExecuteEv
	import _ZN5clang14KeywordHelpers14getKeywordNameENS_21ElaboratedTypeKeywordE
	import _ZN5clang14KeywordHelpers24getKeywordForTagTypeKindENS_11TagTypeKindE
	import _ZN5clang16ASTNameGenerator7getNameB5cxx11EPKNS_4DeclE
	import _ZN5clang16ASTNameGeneratorC1ERNS_10ASTContextE
	import _ZN5clang16ASTNameGeneratorD1Ev
	import _ZN5clang16CompilerInstance12createTargetEv
	import _ZN5clang16CompilerInstance17createDiagnosticsEPNS_18DiagnosticConsumerEb
	import _ZN5clang16CompilerInstance17createDiagnosticsERN4llvm3vfs10FileSystemERNS_17DiagnosticOptionsEPNS_18DiagnosticConsumerEbPKNS_14CodeGenOptionsE
	import _ZN5clang16CompilerInstance22setVerboseOutputStreamERN4llvm11raw_ostreamE
	import _ZN5clang16CompilerInstanceC1ESt10shared_ptrINS_18CompilerInvocationEES1_INS_22PCHContainerOperationsEES1_INS_11ModuleCacheEE
	import _ZN5clang16CompilerInstanceD1Ev
	import _ZN5clang16createInvocationEN4llvm8ArrayRefIPKcEENS_23CreateInvocationOptionsE
	import _ZN5clang17DiagnosticsEngineD1Ev
	import _ZN5clang18EmitLLVMOnlyActionC1EPN4llvm11LLVMContextE
	import _ZN5clang18CompilerInvocation14CreateFromArgsERS0_N4llvm8ArrayRefIPKcEERNS_17DiagnosticsEngineES5_
	import _ZN5clang20getPrimaryMergedDeclEPNS_4DeclE
	import _ZN5clang21TextDiagnosticPrinterC1ERN4llvm11raw_ostreamERNS_17DiagnosticOptionsEb
	import _ZN5clang22PCHContainerOperationsC1Ev
	import _ZN5clang22CompilerInvocationBaseC2Ev
	import _ZN5clang25ExecuteCompilerInvocationEPNS_16CompilerInstanceE
	import _ZN5clang5Lexer18MeasureTokenLengthENS_14SourceLocationERKNS_13SourceManagerERKNS_11LangOptionsE
	import _ZN5clang7VarDecl7getInitEv
	import _ZN5clang8QualType27getSplitUnqualifiedTypeImplES0_
	import _ZNK5clang10ASTContext14getAsArrayTypeENS_8QualTypeE
	import _ZNK5clang10ASTContext18getASTRecordLayoutEPKNS_10RecordDeclE
	import _ZNK5clang10ASTContext18getTypeSizeInCharsENS_8QualTypeE
	import _ZNK5clang10ASTContext19getCanonicalTagTypeEPKNS_7TagDeclE
	import _ZNK5clang10ASTContext6toBitsENS_9CharUnitsE
	import _ZNK5clang10RecordDecl11field_beginEv
	import _ZNK5clang11DeclContext11decls_beginEv
	import _ZNK5clang11DeclContext18isDependentContextEv
	import _ZNK5clang12DecltypeType7desugarEv
	import _ZNK5clang12FunctionDecl7getBodyERPKS0_
	import _ZNK5clang13CXXRecordDecl14DefinitionData16getBasesSlowCaseEv
	import _ZNK5clang13SourceManager13getFileIDSlowEj
	import _ZNK5clang13SourceManager17getExpansionRangeENS_14SourceLocationE
	import _ZNK5clang14TypeOfExprType7desugarEv
	import _ZNK5clang15DeclarationName11getAsStringB5cxx11Ev
	import _ZNK5clang4Decl13getASTContextEv
	import _ZNK5clang4Decl15getDeclKindNameEv
	import _ZNK5clang4Decl15hasDefiningAttrEv
	import _ZNK5clang4Stmt14getSourceRangeEv
	import _ZNK5clang4Type10isCharTypeEv
	import _ZNK5clang4Type14getPointeeTypeEv
	import _ZNK5clang4Type16isIncompleteTypeEPPNS_9NamedDeclE
	import _ZNK5clang4Type18isRealFloatingTypeEv
	import _ZNK5clang4Type19isSignedIntegerTypeEv
	import _ZNK5clang4Type23getContainedDeducedTypeEv
	import _ZNK5clang4Type27getUnqualifiedDesugaredTypeEv
	import _ZNK5clang7TagDecl13getDefinitionEv
	import _ZNK5clang7VarDecl10getTLSKindEv
	import _ZNK5clang7VarDecl28isThisDeclarationADefinitionERNS_10ASTContextE
	import _ZNK5clang8QualType19getAsStringInternalERNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKNS_14PrintingPolicyE
	import _ZNK5clang9FieldDecl16getBitWidthValueEv
	import _ZNK5clang9FieldDecl19setCachedFieldIndexEv
	import _ZNK5clang9NamedDecl24getQualifiedNameAsStringB5cxx11Ev

	.section .data.rel.lj_imports, "aw", @progbits
	.quad 0, 0
	.section .note.GNU-stack, "", @progbits
