// landing.cpp: LLVM's fatal errors, its crashes and its diagnostics become results.
//
// LLVM ends the process on what it calls fatal errors; a crash is a signal, and is given to lj_llvm_crashed by whoever handles signals. The handler installed here jumps back to the innermost landing
// of the thread instead, over LLVM's frames: what they held is lost, so the context and the pipeline in use are given
// up. There are no C++ exceptions in this file's compilation, and none pass.
#include "state.h"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <ucontext.h>

#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

namespace lj {

Counters counters;

void Writer::bytes(const void *p, size_t n) {
  if (n == 0) return;
  if (len + n > cap) {
    cap = std::max(cap * 2, std::max<size_t>(len + n, 256));
    data = static_cast<char *>(realloc(data, cap));
    if (!data) abort();
  }
  memcpy(data + len, p, n);
  len += n;
}

lj_buf copyBytes(StringRef s) {
  Writer w;
  w.bytes(s.data(), s.size());
  return w.take();
}

namespace {

struct Landing {
  sigjmp_buf env;
  Landing *outer;
  std::string *message;
};
thread_local Landing *landing = nullptr;

enum { FatalError = 1, OutOfMemory = 2, Crash = 3 }; // from Crash on: and the signal's number

// Called by LLVM for every fatal error of the process.
void onFatal(void *, const char *reason, bool) {
  if (Landing *l = landing) {
    *l->message = reason;
    siglongjmp(l->env, FatalError);
  }
  // Not inside a call of ours: another user of this libLLVM gets what it would have got.
  fprintf(stderr, "LLVM ERROR: %s\n", reason);
  fflush(stderr);
  abort();
}

// The handler may not allocate: the text is a constant.
void onBadAlloc(void *, const char *, bool) {
  if (Landing *l = landing) siglongjmp(l->env, OutOfMemory);
  fputs("LLVM ERROR: out of memory\n", stderr);
  abort();
}

// Reading bitcode and IR text verifies a module and writes the findings to stderr; verify() does it properly.
void switchOffDebugInfoUpgrade() {
  auto &options = cl::getRegisteredOptions();
  auto it = options.find("disable-auto-upgrade-debug-info");
  if (it != options.end()) it->second->addOccurrence(0, it->first, "true");
}

Host *makeHost() {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  InitializeNativeTargetAsmParser();
  install_fatal_error_handler(onFatal);
  install_bad_alloc_error_handler(onBadAlloc);
  switchOffDebugInfoUpgrade();

  auto *h = new Host;
  h->triple = Triple(sys::getProcessTriple());
  std::string err;
  h->target = TargetRegistry::lookupTarget(h->triple, err);
  if (!h->target) abort(); // libLLVM was built without its own host
  h->cpu = sys::getHostCPUName().str();
  std::vector<std::string> on;
  for (auto &f : sys::getHostCPUFeatures()) on.push_back((f.second ? "+" : "-") + f.first().str());
  std::sort(on.begin(), on.end());
  for (auto &f : on) h->features += (h->features.empty() ? "" : ",") + f;
  std::unique_ptr<TargetMachine> tm(h->target->createTargetMachine(h->triple, h->cpu, h->features, TargetOptions(),
                                                                   Reloc::PIC_, CodeModel::Small));
  h->layout = tm->createDataLayout();
  return h;
}

uint32_t severityOf(DiagnosticSeverity s) {
  switch (s) {
  case DS_Error: return 0;
  case DS_Warning: return 1;
  case DS_Remark: return 2;
  case DS_Note: return 3;
  }
  return 0;
}

// Collects what LLVM reports; the default handler prints to stderr and exits after an error.
struct Collector : DiagnosticHandler {
  lj_ctx *ctx;
  explicit Collector(lj_ctx *c) : ctx(c) {}

  bool handleDiagnostics(const DiagnosticInfo &di) override {
    if (di.getSeverity() == DS_Remark) return true;
    if (auto *s = dyn_cast<DiagnosticInfoSrcMgr>(&di)) {
      ctx->diags.push_back(fromSourceMgr(s->getSMDiag(), ctx->file));
      ctx->diags.back().severity = severityOf(di.getSeverity());
      return true;
    }
    Diagnostic d;
    d.severity = severityOf(di.getSeverity());
    d.file = ctx->file;
    raw_string_ostream os(d.message);
    if (auto *u = dyn_cast<DiagnosticInfoUnsupported>(&di)) {
      os << "in function " << u->getFunction().getName() << ": " << u->getMessage();
      if (u->isLocationAvailable()) {
        auto loc = u->getLocation();
        d.file = loc.getRelativePath().str();
        d.line = loc.getLine();
        d.column = loc.getColumn();
      }
    } else {
      DiagnosticPrinterRawOStream printer(os);
      di.print(printer);
      StringRef m = d.message;
      if (m.consume_front("<unknown>:0:0: ")) d.message = m.str(); // the place of code without debug info
    }
    ctx->diags.push_back(std::move(d));
    return true;
  }
};

lj_buf encode(const Diagnostics &ds) {
  if (ds.empty()) return {};
  Writer w;
  w.u32(uint32_t(ds.size()));
  for (auto &d : ds) {
    w.u32(d.severity);
    w.u32(d.line);
    w.u32(d.column);
    w.str(d.file);
    w.str(StringRef(d.message).rtrim());
    w.str(d.source);
  }
  return w.take();
}

} // namespace

const Host &host() {
  static Host *h = makeHost();
  return *h;
}

// No objects with destructors in this frame: the second return of sigsetjmp must find nothing to undo.
bool land(void (*fn)(void *), void *arg, std::string &message) {
  Landing l;
  l.outer = landing;
  l.message = &message;
  const void *pretty = SavePrettyStackState();
  int back = sigsetjmp(l.env, 0);
  if (back == 0) {
    landing = &l;
    fn(arg);
    landing = l.outer;
    return true;
  }
  landing = l.outer;
  RestorePrettyStackState(pretty); // LLVM keeps a list of entries in the frames just left
  if (back == OutOfMemory) message = "out of memory";
  if (back >= Crash) message = std::string("LLVM crashed: ") + strsignal(back - Crash);
  return false;
}

bool mayEnter(lj_ctx *c, bool alsoPoisoned, StringRef file, lj_result &r) {
  if (!alsoPoisoned && !(c && c->poisoned)) {
    if (c) {
      c->diags.clear();
      c->file.assign(file.data(), file.size());
    }
    return true;
  }
  Diagnostic d;
  d.file = file.str();
  d.message = c && c->poisoned ? "the LLVM context was given up after a fatal error" : "the pipeline was given up after a fatal error of LLVM";
  r = error(LJ_POISONED, {d});
  return false;
}

void finish(lj_ctx *c, lj_result &r) {
  if (!c) return;
  r.diags = encode(c->diags);
  c->diags.clear();
}

void fatal(lj_ctx *c, const std::string &message, lj_result &r) {
  counters.fatals++;
  Diagnostics ds;
  Diagnostic d;
  d.message = message;
  if (c) {
    ds = c->diags;
    d.file = c->file;
    c->poisoned = true;
    counters.contexts--;
    counters.leakedContexts++;
    counters.modules -= c->modules;
    counters.leakedModules += c->modules;
  }
  ds.push_back(d);
  r = error(LJ_FATAL, ds);
}

lj_result error(int32_t kind, const Diagnostics &d) {
  lj_result r = {};
  r.kind = kind;
  r.diags = encode(d);
  return r;
}

int32_t complain(lj_ctx *c, int32_t kind, const Twine &message) {
  Diagnostic d;
  d.file = c->file;
  d.message = message.str();
  c->diags.push_back(std::move(d));
  return kind;
}

void warn(lj_ctx *c, const Twine &message) {
  complain(c, LJ_OK, message);
  c->diags.back().severity = 1;
}

Diagnostic fromSourceMgr(const SMDiagnostic &s, StringRef file) {
  Diagnostic d;
  switch (s.getKind()) {
  case SourceMgr::DK_Error: d.severity = 0; break;
  case SourceMgr::DK_Warning: d.severity = 1; break;
  case SourceMgr::DK_Remark: d.severity = 2; break;
  case SourceMgr::DK_Note: d.severity = 3; break;
  }
  d.file = s.getFilename().empty() || s.getFilename() == "<unknown>" ? file.str() : s.getFilename().str();
  d.line = s.getLineNo() > 0 ? uint32_t(s.getLineNo()) : 0;
  d.column = s.getColumnNo() >= 0 && d.line ? uint32_t(s.getColumnNo() + 1) : 0;
  d.message = s.getMessage().str();
  d.source = s.getLineContents().str();
  return d;
}

} // namespace lj

lj_ctx::lj_ctx() { context.setDiagnosticHandler(std::make_unique<lj::Collector>(this)); }


extern "C" {

void lj_buf_free(lj_buf b) { free(b.data); }

void lj_read_stats(lj_stats *o) {
  auto &c = lj::counters;
  *o = {c.contexts, c.modules, c.pipelines, c.objects, c.fatals, c.leakedContexts, c.leakedModules, c.leakedPipelines};
}

lj_result lj_context_new(void) {
  lj::host();
  lj_result r = {};
  r.handle = new lj_ctx;
  lj::counters.contexts++;
  return r;
}

void lj_context_free(lj_ctx *c) {
  if (c->poisoned) return; // left alone: LLVM's state in it is unknown
  delete c;
  lj::counters.contexts--;
}

void lj_module_free(lj_mod *m) {
  if (m->ctx->poisoned) return;
  m->ctx->modules--;
  lj::counters.modules--;
  delete m;
}

lj_result lj_host_target(void) {
  auto &h = lj::host();
  std::string s = h.triple.str();
  s.push_back('\0');
  s += h.cpu;
  s.push_back('\0');
  s += h.features;
  lj_result r = {};
  r.bytes = lj::copyBytes(s);
  return r;
}

void lj_llvm_crashed(int signal, void *, void *context) {
  lj::Landing *l = lj::landing;
  if (!l) return;
  pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t *>(context)->uc_sigmask, nullptr);
  siglongjmp(l->env, lj::Crash + signal);
}

int lj_llvm_land(void (*fn)(void *), void *arg, char *message, size_t size) {
  lj::host();
  std::string text;
  if (lj::land(fn, arg, text)) return 1;
  lj::counters.fatals++;
  if (size) snprintf(message, size, "%s", text.c_str());
  return 0;
}

} // extern "C"
