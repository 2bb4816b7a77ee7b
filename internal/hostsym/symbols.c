#define _GNU_SOURCE
#include "symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

// What one loaded object says about its dynamic symbols.
struct tables {
	ElfW(Addr) base;
	const ElfW(Sym) *symbols;
	const char *strings;
	const ElfW(Half) *versions;
	const uint32_t *gnu_hash, *hash;
};

static struct tables tables_of(ElfW(Addr) base, const ElfW(Dyn) *d) {
	struct tables t = {.base = base};
	for (; d->d_tag != DT_NULL; d++) {
		// The dynamic linker has made these absolute in every object but the vdso, which has small values there.
		ElfW(Addr) p = d->d_un.d_ptr < base ? d->d_un.d_ptr + base : d->d_un.d_ptr;
		switch (d->d_tag) {
		case DT_SYMTAB: t.symbols = (const ElfW(Sym) *)p; break;
		case DT_STRTAB: t.strings = (const char *)p; break;
		case DT_VERSYM: t.versions = (const ElfW(Half) *)p; break;
		case DT_GNU_HASH: t.gnu_hash = (const uint32_t *)p; break;
		case DT_HASH: t.hash = (const uint32_t *)p; break;
		}
	}
	return t;
}

// Is symbol i the default version of name? Bit 15 of the version marks the others.
static int matches(const struct tables *t, uint32_t i, const char *name) {
	const ElfW(Sym) *s = &t->symbols[i];
	return s->st_shndx != SHN_UNDEF && (!t->versions || !(t->versions[i] & 0x8000)) && strcmp(t->strings + s->st_name, name) == 0;
}

static const ElfW(Sym) *find(const struct tables *t, const char *name) {
	if (!t->symbols || !t->strings)
		return NULL;
	if (t->gnu_hash) {
		// [0] buckets, [1] first hashed symbol, [2] bloom words, [3] shift; bloom filter, buckets, chains follow.
		const uint32_t *h = t->gnu_hash;
		uint32_t hash = 5381;
		for (const unsigned char *p = (const unsigned char *)name; *p; p++)
			hash = hash * 33 + *p;
		const uint32_t *buckets = h + 4 + h[2] * (sizeof(ElfW(Addr)) / 4);
		const uint32_t *chains = buckets + h[0];
		uint32_t i = h[0] ? buckets[hash % h[0]] : 0;
		if (i < h[1] || i == 0)
			return NULL;
		for (;; i++) {
			uint32_t c = chains[i - h[1]];
			if ((c | 1) == (hash | 1) && matches(t, i, name))
				return &t->symbols[i];
			if (c & 1)
				return NULL;
		}
	}
	if (t->hash) // [1] is the number of symbols
		for (uint32_t i = 1; i < t->hash[1]; i++)
			if (matches(t, i, name))
				return &t->symbols[i];
	return NULL;
}

static uintptr_t thread_pointer(void) { return (uintptr_t)__builtin_thread_pointer(); }

struct search {
	uintptr_t addr;
	const char *name;
	struct hs_symbol *out;
	int found, executable, read_only;
};

// Which module's TLS block of this thread holds the address?
static int in_tls(struct dl_phdr_info *info, size_t size, void *data) {
	struct search *s = data;
	uintptr_t block = (uintptr_t)info->dlpi_tls_data;
	if (!block)
		return 0;
	const ElfW(Dyn) *dynamic = NULL;
	int within = 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_TLS)
			within = s->addr >= block && s->addr - block <= p->p_memsz;
		else if (p->p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + p->p_vaddr);
	}
	if (!within || !dynamic)
		return 0;
	struct tables t = tables_of(info->dlpi_addr, dynamic);
	const ElfW(Sym) *sym = find(&t, s->name);
	if (!sym || ELF64_ST_TYPE(sym->st_info) != STT_TLS || sym->st_value != s->addr - block)
		return 0;
	s->out->kind = HS_TLS;
	s->out->size = sym->st_size;
	s->out->module = info->dlpi_tls_modid;
	s->out->offset = s->addr - block;
	s->found = 1;
	return 1;
}

// Is the address in an executable segment, or in one that is read-only, at least once the dynamic linker has relocated it?
static int in_code(struct dl_phdr_info *info, size_t size, void *data) {
	struct search *s = data;
	int found = 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;
		if (s->addr < start || s->addr - start >= p->p_memsz)
			continue;
		if (p->p_type == PT_LOAD) {
			s->executable = (p->p_flags & PF_X) != 0;
			s->read_only |= (p->p_flags & PF_W) == 0;
			found = 1;
		}
		s->read_only |= p->p_type == PT_GNU_RELRO;
	}
	return found;
}

struct probe {
	void *handle;
	const char *name;
	int64_t tpoff;
};

static void *probe_thread(void *arg) {
	struct probe *p = arg;
	p->tpoff = (intptr_t)((uintptr_t)dlsym(p->handle, p->name) - thread_pointer());
	return NULL;
}

// A variable at the same distance from the thread pointer in two threads is in the static block: blocks outside it are allocated one by one for each thread.
static void describe_tls(void *handle, const char *name, uintptr_t addr, struct hs_symbol *out) {
	struct probe p = {handle, name, 0};
	pthread_t t;
	out->addr = 0;
	out->tpoff = (intptr_t)(addr - thread_pointer());
	if (pthread_create(&t, NULL, probe_thread, &p) == 0) {
		pthread_join(t, NULL);
		out->is_static = p.tpoff == out->tpoff;
	}
	if (!out->is_static)
		out->tpoff = 0;
}

// NAME is looked up in its default version, NAME@VERSION and NAME@@VERSION in that one.
static void *look_up(void *handle, const char *name) {
	const char *at = strchr(name, '@');
	char base[256];
	if (!at || at == name)
		return dlsym(handle, name);
	if ((size_t)(at - name) >= sizeof base)
		return NULL;
	memcpy(base, name, at - name);
	base[at - name] = 0;
	return dlvsym(handle, base, at + (at[1] == '@' ? 2 : 1));
}

int hs_lookup(void *handle, const char *name, struct hs_symbol *out) {
	memset(out, 0, sizeof *out);
	if (!handle)
		handle = RTLD_DEFAULT;
	void *addr = look_up(handle, name);
	if (!addr)
		return 0;
	out->addr = (uintptr_t)addr;
	struct search s = {(uintptr_t)addr, name, out, 0, 0, 0};
	Dl_info info;
	struct link_map *map = NULL;
	if (!dladdr1(addr, &info, (void **)&map, RTLD_DL_LINKMAP)) {
		dl_iterate_phdr(in_tls, &s);
		if (s.found)
			describe_tls(handle, name, s.addr, out);
		else
			out->kind = HS_DATA; // an absolute symbol
		return 1;
	}
	out->in_executable = map->l_name[0] == 0;
	struct tables t = tables_of(map->l_addr, map->l_ld);
	const ElfW(Sym) *sym = find(&t, name);
	if (!sym) { // an old version's name, or the choice of another object's ifunc: what stands at the address
		const ElfW(Sym) *at = NULL;
		dladdr1(addr, &info, (void **)&at, RTLD_DL_SYMENT);
		if (at && info.dli_saddr == addr)
			sym = at;
	}
	dl_iterate_phdr(in_code, &s);
	out->kind = s.executable ? HS_FUNC : HS_DATA;
	out->read_only = s.read_only;
	if (sym) {
		int type = ELF64_ST_TYPE(sym->st_info);
		if (type == STT_GNU_IFUNC)
			out->kind = HS_IFUNC;
		else
			out->size = sym->st_size;
		if (type == STT_OBJECT)
			out->kind = HS_DATA; // read-only data may share a segment with code
	}
	return 1;
}
