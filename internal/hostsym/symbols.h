// Symbols of the process: the C side of package hostsym.
#include <stdint.h>

enum { HS_FUNC = 1, HS_DATA = 2, HS_TLS = 3, HS_IFUNC = 4 };

struct hs_symbol {
	uint64_t addr, size, module, offset;
	int64_t tpoff;
	int kind;
	int is_static;
	int in_executable;
	int read_only; // nothing writes to it
};

// hs_lookup finds name in handle (from dlopen), or in the process if handle is NULL. Returns 0 if it is not defined.
__attribute__((visibility("hidden"))) int hs_lookup(void *handle, const char *name, struct hs_symbol *out);
