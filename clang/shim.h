// shim.h: the front end of clang as C. All calls may be made from any thread at any time.
#ifndef LIVEJIT_CLANG_SHIM_H
#define LIVEJIT_CLANG_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LJ_CLANG_OK, LJ_CLANG_ERRORS, LJ_CLANG_FATAL };

// A file that is read from memory in the place of the disk's.
typedef struct { const char *path; const char *text; size_t size; } lj_clang_file;

// All pointers are malloc's and the caller's; see lj_clang_result_free.
typedef struct {
  int32_t kind;
  char *bitcode;
  size_t bitcode_size;
  char *messages; // as clang prints them
  size_t messages_size;
  char *files; // every file that was read, each ended by a zero byte
  size_t files_size;
  char *declarations; // JSON, if asked for and clang came so far
  size_t declarations_size;
} lj_clang_result;

// Loads libclang-cpp and binds the symbols of imports.S to it. Returns NULL, or what went wrong (dlerror's text).
const char *lj_clang_load(void);

// Where the library that was loaded lies, for finding the headers that belong to it.
const char *lj_clang_library(void);

// Compiles the last of args, a command line of the clang driver with its name first, to bitcode; or, if the language is a
// header's, to a precompiled header in the file that -o names. declarations asks for what it declares. land runs a function
// so that a fatal error of LLVM ends it: it returns 0 and fills message then.
typedef int (*lj_land_fn)(void (*fn)(void *), void *arg, char *message, size_t size);
lj_clang_result lj_clang_compile(const char *const *args, size_t nargs, const lj_clang_file *files, size_t nfiles, int declarations,
                                 lj_land_fn land);
void lj_clang_result_free(lj_clang_result *r);

#ifdef __cplusplus
}
#endif
#endif
