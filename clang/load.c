// load.c: libclang-cpp is opened when it is first needed; see imports.S.
#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <stdlib.h>

struct import {
  const char *name;
  void **slot;
};
extern struct import lj_clang_imports[];

static const char *library = "";

const char *lj_clang_load(void) {
  // By its soname as any program finds it, then where Debian puts LLVM 22.
  static const char *const names[] = {"libclang-cpp.so.22.1", "/usr/lib/llvm-22/lib/libclang-cpp.so.22.1"};
  const char *chosen = getenv("LIVEJIT_CLANG_LIBRARY");
  void *handle = NULL;
  if (chosen && *chosen) {
    handle = dlopen(chosen, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) return dlerror();
  } else {
    for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++) handle = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    if (!handle) return "libclang-cpp.so.22.1 is not installed (Debian's package libclang-cpp22; scripts/setup installs it)";
  }
  for (struct import *i = lj_clang_imports; i->name; i++) {
    *i->slot = dlsym(handle, i->name);
    if (!*i->slot) return dlerror();
  }
  Dl_info info;
  if (dladdr(*lj_clang_imports->slot, &info) && info.dli_fname) {
    char *path = realpath(info.dli_fname, NULL);
    if (path) library = path;
  }
  return NULL;
}

const char *lj_clang_library(void) { return library; }
