// The GDB JIT interface: GDB manual, "JIT Compilation Interface".
#ifndef LIVEJIT_GDB_H
#define LIVEJIT_GDB_H
#include <stddef.h>
#include <stdint.h>

struct jit_code_entry {
	struct jit_code_entry *next, *prev;
	const char *symfile_addr;
	uint64_t symfile_size;
};

// Both copy nothing and are not safe for concurrent use.
void lj_gdb_register(struct jit_code_entry *entry);
void lj_gdb_unregister(struct jit_code_entry *entry);
// Is a debugger's breakpoint in __jit_debug_register_code?
int lj_gdb_attached(void);
#endif
