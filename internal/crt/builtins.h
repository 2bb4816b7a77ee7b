// Compiler helpers that code may call and that no shared library exports: from libgcc.a, or our own where that has none either.
#ifndef LIVEJIT_CRT_BUILTINS_H
#define LIVEJIT_CRT_BUILTINS_H

struct lj_builtin {
	const char *name;
	void *address;
	int data; // not a function
};

// lj_builtin_at returns the i-th; its name is null after the last.
__attribute__((visibility("hidden"))) const struct lj_builtin *lj_builtin_at(unsigned i);

#endif
