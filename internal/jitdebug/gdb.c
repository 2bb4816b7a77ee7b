#include "gdb.h"

enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_descriptor {
	uint32_t version, action_flag;
	struct jit_code_entry *relevant_entry, *first_entry;
};

// Debuggers find both by name, and put a breakpoint into the function.
__attribute__((used)) struct jit_descriptor __jit_debug_descriptor = {1, JIT_NOACTION, 0, 0};
__attribute__((used, noinline)) void __jit_debug_register_code(void) { __asm__ volatile("" ::: "memory"); }

static void tell(uint32_t action, struct jit_code_entry *entry) {
	__jit_debug_descriptor.action_flag = action;
	__jit_debug_descriptor.relevant_entry = entry;
	__jit_debug_register_code();
	__jit_debug_descriptor.action_flag = JIT_NOACTION;
}

void lj_gdb_register(struct jit_code_entry *entry) {
	struct jit_code_entry *first = __jit_debug_descriptor.first_entry;
	entry->prev = 0;
	entry->next = first;
	if (first)
		first->prev = entry;
	__jit_debug_descriptor.first_entry = entry;
	tell(JIT_REGISTER_FN, entry);
}

void lj_gdb_unregister(struct jit_code_entry *entry) {
	if (entry->prev)
		entry->prev->next = entry->next;
	else
		__jit_debug_descriptor.first_entry = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
	tell(JIT_UNREGISTER_FN, entry);
}

int lj_gdb_attached(void) {
	const volatile uint8_t *code = (const volatile uint8_t *)__jit_debug_register_code;
#if defined(__x86_64__)
	return *code == 0xcc; // int3
#else
	return (*(const volatile uint32_t *)code & 0xffe0001f) == 0xd4200000; // brk
#endif
}
