// shim.h: the contract between Go and the C++ of this package.
//
// Rules that hold for every function:
//  - Strings and byte ranges are pointer and length, need no terminating NUL, and are not kept after the call.
//  - No C++ exception and no longjmp leaves a function; a fatal error of LLVM comes back as LJ_FATAL, with the
//    context and the pipeline given to the call poisoned: later calls with them return LJ_POISONED, and freeing
//    them or their modules does nothing.
//  - Memory in an lj_result belongs to the caller: lj_buf_free for diags and bytes, the handle by its own function.
//  - Integers in serialised buffers are in host order; layouts are described beside the functions.
#ifndef LIVEJIT_LLVM_SHIM_H
#define LIVEJIT_LLVM_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lj_ctx lj_ctx;     // an LLVMContext
typedef struct lj_mod lj_mod;     // a module in a context
typedef struct lj_split lj_split; // a split in progress
typedef struct lj_pipe lj_pipe;   // a codegen pipeline
typedef struct lj_obj lj_obj;     // the bytes of an object

// Kinds of results; the errors have the numbers of ErrorKind in error.go.
enum {
  LJ_OK = 0,
  LJ_PARSE = 1,
  LJ_VERIFY = 2,
  LJ_TARGET = 3,
  LJ_UNSUPPORTED = 4,
  LJ_NOT_FOUND = 5,
  LJ_CODEGEN = 6,
  LJ_FATAL = 7,
  LJ_POISONED = 8,
};

// What stands for the null target of a patchpoint in the code that is emitted: no canonical address. linkgraph.NoTarget is the same.
#define LJ_PATCHPOINT_NONE UINT64_C(0x6c6a2d6e6f6e6521)

typedef struct {
  char *data;
  size_t size;
} lj_buf;

typedef struct {
  int32_t kind;  // LJ_OK or what went wrong
  void *handle;  // what was made: lj_ctx, lj_mod, lj_split, lj_pipe or lj_obj; NULL with an error
  lj_buf bytes;  // bytes asked for: bitcode, text, a summary
  lj_buf diags;  // diagnostics, also warnings with LJ_OK: u32 count, then for each
                 // u32 severity (error.go), u32 line, u32 column, and the strings (u32 length, bytes) file, message, source line
} lj_result;

void lj_buf_free(lj_buf b);

// Process-wide counters (Stats in context.go has the same order).
typedef struct {
  int64_t contexts, modules, pipelines, objects;                   // alive
  int64_t fatals;                                                  // fatal errors landed
  int64_t leaked_contexts, leaked_modules, leaked_pipelines;       // left alone after a fatal error
} lj_stats;
void lj_read_stats(lj_stats *out);

// --- landing.cpp, module.cpp: contexts and modules -----------------------------------------------------------------

lj_result lj_context_new(void);
void lj_context_free(lj_ctx *c); // its modules must be freed before

// IR text. The result is verified; debug info that is broken or of another version is dropped with a warning.
lj_result lj_parse_ir(lj_ctx *c, const char *name, size_t name_len, const char *text, size_t text_len);
// Raw or wrapped bitcode of any version LLVM 22 reads. trusted: lj_bitcode of this process wrote it; it is not verified again.
lj_result lj_parse_bitcode(lj_ctx *c, const char *name, size_t name_len, const char *data, size_t size, int trusted);
// An LLVMModuleRef of another binding of the same libLLVM, copied.
lj_result lj_adopt(lj_ctx *c, void *module_ref, const char *name, size_t name_len);
void *lj_module_ref(lj_mod *m); // the module as an LLVMModuleRef
void lj_module_free(lj_mod *m);

lj_result lj_verify(lj_mod *m);
lj_result lj_bitcode(lj_mod *m);       // bytes: bitcode
lj_result lj_text(lj_mod *m);          // bytes: IR text
lj_result lj_module_triple(lj_mod *m); // bytes: target triple

// --- prepare.cpp, summary.cpp --------------------------------------------------------------------------------------

// Makes every function replaceable; see Module.Prepare. bytes: the summary, as written by summary.cpp and read by
// summary_decode.go.
lj_result lj_prepare(lj_mod *m, const char *suffix, size_t suffix_len);

// --- show.cpp ----------------------------------------------------------------------------------------------------------

// Has the function, which is void, end with a call of show, void (ptr), for the value of the instruction before its last
// return. bytes: the value's type; empty if there is no value. See Module.ShowLast.
lj_result lj_show_last(lj_mod *m, const char *function, size_t function_len, const char *show, size_t show_len);

// Has the function, which is void, store its named values in new variables before its last return. bytes: for each its name, the
// variable's and the type, each ended by NUL. See Module.KeepValues.
lj_result lj_keep_values(lj_mod *m, const char *function, size_t function_len, const char *suffix, size_t suffix_len);

// --- cut.cpp, share.cpp, split.cpp --------------------------------------------------------------------------------------------

// Functions and variables, and what only they use, as a new module of the same context; see Module.CutSet. The names
// are lists with a NUL after each. bytes: NUL-separated names of all functions that have bodies in it as themselves
// (more than asked for when label addresses tie them together).
lj_result lj_cut(lj_mod *m, const char *functions, size_t functions_len, const char *variables, size_t variables_len);

// Drops from a prepared module what is not in share number share of shares; see Module.KeepShare.
lj_result lj_share(lj_mod *m, uint32_t share, uint32_t shares);

// Splits the module; promotes its statics (names gain a suffix derived from identifier, or from the content if it is empty).
lj_result lj_split_begin(lj_mod *m, const char *identifier, size_t identifier_len);
// The next part. handle: its module, NULL after the last; bytes: NUL-separated function names, empty for the data part.
lj_result lj_split_next(lj_split *s);
void lj_split_free(lj_split *s);

// --- irdebug.cpp ---------------------------------------------------------------------------------------------------

// Replaces the module's debug info: its source is its own text, a file of that name; see Module.DebugIR. bytes: the text.
lj_result lj_debug_ir(lj_mod *m, const char *directory, size_t directory_len, const char *file, size_t file_len, int optimized);

// --- pipeline.cpp --------------------------------------------------------------------------------------------------

enum { LJ_DEBUG_FULL = 0, LJ_DEBUG_LINES = 1, LJ_DEBUG_NONE = 2 };

typedef struct {
  int32_t opt_level; // 0..3
  int32_t debug;     // LJ_DEBUG_*
  int32_t one_section; // no section for each function: for comparing only
  int32_t statepoints; // calls of functions with garbage collection become statepoints
  const char *cpu;   // "" or NULL: the host's
  size_t cpu_len;
  const char *features; // "+a,-b"; with an empty cpu an empty list means the host's
  size_t features_len;
} lj_pipe_options;

lj_result lj_pipeline_new(const lj_pipe_options *o);
void lj_pipeline_free(lj_pipe *p);

typedef struct {
  const char *data;
  size_t size;
  int64_t optimize_ns, codegen_ns;
} lj_obj_view;

// Optimises and compiles; the module's bodies are used up. handle: the object, view: its bytes, which live until lj_object_free.
lj_result lj_emit(lj_pipe *p, lj_mod *m, lj_obj_view *view);
void lj_object_free(lj_obj *o);

// The host's target, for messages and tests. bytes: triple NUL cpu NUL features.
lj_result lj_host_target(void);

// For a handler of signals (siginfo_t *, ucontext_t *): if this thread is inside of a function of this package, that ends as with a fatal error, and the handler
// is left by a jump; else it returns. Async-signal-safe.
void lj_llvm_crashed(int signal, void *siginfo, void *ucontext);

// Runs fn so that a fatal error of LLVM on this thread ends it: returns 1, or 0 with the error's text in message.
int lj_llvm_land(void (*fn)(void *), void *arg, char *message, size_t size);

#ifdef __cplusplus
}
#endif
#endif
