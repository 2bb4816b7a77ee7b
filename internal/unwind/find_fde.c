// The unwinder's question "which FDE covers this address", answered for the whole process.
#define _GNU_SOURCE
#include "region.h"

#include <dlfcn.h>

// libgcc's struct dwarf_eh_bases (unwind-dw2-fde.h): the bases of text- and
// data-relative encodings, which x86-64 and aarch64 do not use, and the start of the function.
struct dwarf_eh_bases {
	void *tbase, *dbase, *func;
};

typedef const void *find_fde(void *pc, struct dwarf_eh_bases *bases);

static _Atomic(find_fde *) next_find_fde;

__attribute__((visibility("default"))) find_fde _Unwind_Find_FDE;

// Finds the library's function ahead of need, for dlsym is not async-signal-safe. If
// this code was linked without libgcc_s it is loaded, as glibc does when it first needs it.
__attribute__((constructor)) static void resolve_next(void) {
	if (atomic_load_explicit(&next_find_fde, memory_order_relaxed))
		return;
	void *f = dlsym(RTLD_NEXT, "_Unwind_Find_FDE");
	if (!f) {
		void *lib = dlopen("libgcc_s.so.1", RTLD_LAZY);
		f = lib ? dlsym(lib, "_Unwind_Find_FDE") : 0;
	}
	atomic_store_explicit(&next_find_fde, f == (void *)_Unwind_Find_FDE ? 0 : (find_fde *)f, memory_order_relaxed);
}

// The executable's definition takes the place of libgcc_s's in the whole process: the
// dynamic linker looks in the executable first.
const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases) {
	struct lj_code code;
	if (lj_unwind_code((uintptr_t)pc, &code)) {
		if (!code.fde)
			return 0;
		*bases = (struct dwarf_eh_bases){.func = (void *)code.func};
		return (const void *)code.fde;
	}
	if (!atomic_load_explicit(&next_find_fde, memory_order_relaxed))
		resolve_next(); // called from a constructor that ran before ours
	find_fde *next = atomic_load_explicit(&next_find_fde, memory_order_relaxed);
	return next ? next(pc, bases) : 0;
}

const char *lj_unwind_usurper(void) {
	void *f = dlsym(RTLD_DEFAULT, "_Unwind_Find_FDE");
	Dl_info info;
	if (f == (void *)_Unwind_Find_FDE)
		return 0;
	return f && dladdr(f, &info) && info.dli_fname ? info.dli_fname : "no library (the symbol is not exported)";
}
