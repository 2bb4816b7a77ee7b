// Thread-local storage of JIT code: the C side of package crt.
#ifndef LIVEJIT_CRT_TLS_H
#define LIVEJIT_CRT_TLS_H

#ifndef __x86_64__
#error "livejit has thread-local storage for JIT code on x86-64 only so far: another target needs its own tls file (internal/crt)"
#endif

#define LJ_TLS_TAG_BIT 63 // set in the numbers of JIT modules

#ifndef __ASSEMBLER__
#include <stdint.h>
#pragma GCC visibility push(hidden)

struct lj_tls_index { // what __tls_get_addr is given
	uint64_t module, offset;
};

// lj_tls_new copies init and returns a module number, or 0 without memory. size and align are valid.
uint64_t lj_tls_new(const void *init, uint64_t init_size, uint64_t size, uint64_t align);
// lj_tls_set_image gives a module that no code has used yet another image; 0 without memory.
int lj_tls_set_image(uint64_t id, const void *init, uint64_t init_size, uint64_t size, uint64_t align);
// lj_tls_release frees the module and its blocks in all threads.
void lj_tls_release(uint64_t id);
// lj_tls_live counts modules and blocks.
void lj_tls_live(uint64_t *modules, uint64_t *blocks);

// Assembly. The first has the ordinary calling convention. The descriptor resolvers take the descriptor's address in rax, give the distance from the thread
// pointer in rax and preserve all other registers. A descriptor's second word is the distance itself for the static one, the address of a struct lj_tls_index for the dynamic one.
extern char lj_tls_get_addr[], lj_tlsdesc_static[], lj_tlsdesc_dynamic[];

#pragma GCC visibility pop
#endif
#endif
