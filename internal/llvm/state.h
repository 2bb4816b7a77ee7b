// state.h: what the C++ files share: the objects behind the handles, the landing around every entry, buffers.
#ifndef LIVEJIT_LLVM_STATE_H
#define LIVEJIT_LLVM_STATE_H

#include "shim.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

namespace llvm {
class SMDiagnostic;
class Target;
} // namespace llvm

namespace lj {

// One message; severity as in error.go.
struct Diagnostic {
  uint32_t severity = 0, line = 0, column = 0;
  std::string file, message, source;
};

using Diagnostics = std::vector<Diagnostic>;

// Bytes for Go, in malloc'ed memory.
class Writer {
  char *data = nullptr;
  size_t len = 0, cap = 0;

public:
  Writer() = default;
  Writer(const Writer &) = delete;
  ~Writer() { free(data); }
  void bytes(const void *p, size_t n);
  void u32(uint32_t v) { bytes(&v, 4); }
  void u64(uint64_t v) { bytes(&v, 8); }
  void str(llvm::StringRef s) {
    u32(uint32_t(s.size()));
    bytes(s.data(), s.size());
  }
  size_t size() const { return len; }
  lj_buf take() {
    lj_buf b{data, len};
    data = nullptr;
    len = cap = 0;
    return b;
  }
};

lj_buf copyBytes(llvm::StringRef s);

// The host's target, made once.
struct Host {
  const llvm::Target *target;
  llvm::Triple triple;
  std::string cpu, features;
  llvm::DataLayout layout{""};
};
const Host &host();

struct Counters {
  std::atomic<int64_t> contexts{0}, modules{0}, pipelines{0}, objects{0}, fatals{0}, leakedContexts{0}, leakedModules{0},
      leakedPipelines{0};
};
extern Counters counters;

struct CutIndex; // cut.h

} // namespace lj

struct lj_ctx {
  llvm::LLVMContext context;
  lj::Diagnostics diags;     // collected during the current call
  std::string file;          // names messages without a place: the module worked on
  int64_t modules = 0;       // alive
  bool poisoned = false;
  lj_ctx();
};

struct lj_mod {
  lj_ctx *ctx;
  std::string name;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<lj::CutIndex> index; // made by the first cut

  lj_mod(lj_ctx *c, llvm::StringRef name, std::unique_ptr<llvm::Module> m);
  ~lj_mod();
};

namespace lj {

// land runs fn(arg) so that a fatal error of LLVM in it comes back here; false then, with LLVM's words in message.
// What fn's frames held is lost. Landings nest.
bool land(void (*fn)(void *), void *arg, std::string &message);

// The two ends of a guarded call.
bool mayEnter(lj_ctx *c, bool alsoPoisoned, llvm::StringRef file, lj_result &r);
void finish(lj_ctx *c, lj_result &r);
void fatal(lj_ctx *c, const std::string &message, lj_result &r);

lj_result error(int32_t kind, const Diagnostics &d);

// guarded runs body(r) under a landing for context c, whose module is called file. pipePoison, if any, belongs to the
// pipeline in use. body sets r.kind, r.handle and r.bytes; diagnostics are taken from the context.
template <class Body> lj_result guarded(lj_ctx *c, bool *pipePoison, llvm::StringRef file, Body &&body) {
  lj_result r = {};
  if (!mayEnter(c, pipePoison && *pipePoison, file, r)) return r;
  struct Call {
    Body &body;
    lj_result &r;
  } call{body, r};
  std::string message;
  if (land([](void *p) { (*static_cast<Call *>(p)).body(static_cast<Call *>(p)->r); }, &call, message)) {
    finish(c, r);
  } else {
    if (pipePoison) *pipePoison = true;
    fatal(c, message, r);
  }
  return r;
}

// complain adds an error of this package to the context's diagnostics; the result is kind, for r.kind.
int32_t complain(lj_ctx *c, int32_t kind, const llvm::Twine &message);
void warn(lj_ctx *c, const llvm::Twine &message);
Diagnostic fromSourceMgr(const llvm::SMDiagnostic &d, llvm::StringRef file);

// Verifies m, adding an error for each finding; broken debug info is dropped with a warning. False if invalid.
bool verify(lj_ctx *c, llvm::Module &m);

// Hands a new module over to Go.
void giveModule(lj_ctx *c, llvm::StringRef name, std::unique_ptr<llvm::Module> m, lj_result &r);

} // namespace lj

#endif
