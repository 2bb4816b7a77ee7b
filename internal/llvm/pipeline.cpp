// pipeline.cpp: one codegen pipeline, built once and run over many modules of any context.
//
// Building target machine and passes costs three to four times what compiling a small function costs. Reuse over
// contexts holds because LLVM's codegen passes drop all they know of a module in doFinalization, with one exception
// that GCReset below sees to.
#include "patchpoint.h"
#include "statepoints.h"

#include <chrono>
#include <mutex>

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/CodeGen/GCMetadata.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Pass.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Scalar/LowerMatrixIntrinsics.h"

using namespace llvm;

// An object's bytes. They are swapped with the pipeline's output buffer, never copied.
struct lj_obj {
  SmallVector<char, 0> bytes;
};

namespace lj {
namespace {

// GCModuleInfo keeps facts by function address for as long as the pass lives.
struct GCReset : ModulePass {
  static char ID;
  GCReset() : ModulePass(ID) {}
  bool runOnModule(Module &) override { return false; }
  bool doFinalization(Module &) override {
    if (auto *info = getAnalysisIfAvailable<GCModuleInfo>()) info->clear();
    return false;
  }
  void getAnalysisUsage(AnalysisUsage &u) const override { u.setPreservesAll(); }
  StringRef getPassName() const override { return "forget garbage collection metadata"; }
};
char GCReset::ID = 0;

// Objects that were released, to be used again with the memory they have.
class ObjectPool {
  std::mutex lock;
  SmallVector<lj_obj *, 8> spare;
  static constexpr size_t maxSpare = 8, maxBytes = 1 << 20;

public:
  lj_obj *take() {
    std::lock_guard<std::mutex> g(lock);
    return spare.empty() ? new lj_obj : spare.pop_back_val();
  }
  void give(lj_obj *o) {
    o->bytes.clear();
    if (o->bytes.capacity() <= maxBytes) {
      std::lock_guard<std::mutex> g(lock);
      if (spare.size() < maxSpare) {
        spare.push_back(o);
        return;
      }
    }
    delete o;
  }
};

ObjectPool &pool() {
  static auto *p = new ObjectPool;
  return *p;
}

using Clock = std::chrono::steady_clock;

int64_t since(Clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - t).count();
}

TargetOptions targetOptions(const lj_pipe_options &o) {
  TargetOptions t;
  t.EnableFastISel = o.opt_level == 0;
  t.FunctionSections = t.DataSections = !o.one_section;
  t.UniqueSectionNames = false; // sections are known by their symbols; names of their own only cost time and space
  t.EmulatedTLS = false;
  t.UseInitArray = true;
  t.TrapUnreachable = t.NoTrapAfterNoreturn = true; // running off a function's end must not run into its neighbour
  return t;
}

} // namespace
} // namespace lj

struct lj_pipe {
  int level;
  int32_t debug;
  bool statepoints;
  bool poisoned = false;
  std::unique_ptr<TargetMachine> machine;
  std::unique_ptr<MCSubtargetInfo> known; // every processor and feature LLVM knows, to check names against
  StringMap<std::string> features;        // target-features attribute → the same without what LLVM does not know

  SmallVector<char, 0> buffer;
  raw_svector_ostream out{buffer};
  legacy::PassManager codegen;

  // The optimiser's analyses, registered once and cleared after each module.
  std::unique_ptr<PassBuilder> builder;
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
};

namespace lj {
namespace {

bool knownFeature(const MCSubtargetInfo &known, StringRef name) {
  for (auto &f : known.getAllProcessorFeatures())
    if (name == f.Key) return true;
  return false;
}

// LLVM prints to stderr about processors and features it does not know; they are refused, or dropped with a warning.
std::string knownFeatures(const MCSubtargetInfo &known, StringRef list, std::string &unknown) {
  SmallVector<StringRef, 64> parts;
  list.split(parts, ',', -1, false);
  std::string s;
  for (StringRef p : parts) {
    StringRef name = p;
    if (!name.consume_front("+")) name.consume_front("-");
    if (name.size() == p.size() || !knownFeature(known, name)) {
      unknown += (unknown.empty() ? "" : ", ") + p.str();
      continue;
    }
    s += (s.empty() ? "" : ",") + p.str();
  }
  return s;
}

lj_result refuse(const std::string &message) {
  Diagnostic d;
  d.message = message;
  return error(LJ_TARGET, {d});
}

void startOptimizer(lj_pipe &p) {
  if (p.builder) return;
  p.builder = std::make_unique<PassBuilder>(p.machine.get());
  p.builder->registerModuleAnalyses(p.modules);
  p.builder->registerCGSCCAnalyses(p.components);
  p.builder->registerFunctionAnalyses(p.functions);
  p.builder->registerLoopAnalyses(p.loops);
  p.builder->crossRegisterProxies(p.loops, p.functions, p.components, p.modules);
}

// What a module has that codegen cannot do by itself, at any level.
struct Needs {
  bool inlining = false, coroutines = false, matrices = false;
  explicit Needs(const Module &m) {
    for (const Function &f : m) {
      if (f.isPresplitCoroutine()) coroutines = true;
      if (!f.isDeclaration()) inlining |= f.hasFnAttribute(Attribute::AlwaysInline);
      else matrices |= f.isIntrinsic() && f.getName().starts_with("llvm.matrix.");
    }
  }
};

void optimize(lj_pipe &p, lj_ctx *c, Module &m) {
  static const OptimizationLevel levels[] = {OptimizationLevel::O0, OptimizationLevel::O1, OptimizationLevel::O2, OptimizationLevel::O3};
  Needs needs(m);
  const bool statepoints = p.statepoints && hasCollected(m);
  const bool passesNeeded = p.level > 0 || needs.inlining || needs.coroutines || needs.matrices;
  if (!passesNeeded && !statepoints) return;
  startOptimizer(p);
  if (statepoints) protectPointers(m);
  // The passes cannot be kept: the inliner's wrapper gives its inner passes away on its first run.
  ModulePassManager passes;
  if (needs.matrices) passes.addPass(createModuleToFunctionPassAdaptor(LowerMatrixIntrinsicsPass(p.level == 0)));
  if (passesNeeded)
    passes.addPass(p.level == 0 ? p.builder->buildO0DefaultPipeline(OptimizationLevel::O0)
                                : p.builder->buildPerModuleDefaultPipeline(levels[p.level]));
  passes.run(m, p.modules);
  if (statepoints) rewriteStatepoints(c, m, p.modules, p.functions); // last: no pass may move a pointer over a call after it
  p.modules.clear();
  p.components.clear();
  p.functions.clear();
  p.loops.clear();
}

// Checks the target-cpu and target-features attributes of functions. Attributes are unique in a context, so each
// list is looked at once.
void checkSubtargets(lj_pipe &p, lj_ctx *c, Module &m) {
  SmallPtrSet<const void *, 8> good;
  for (Function &f : m) {
    if (f.isDeclaration()) continue;
    for (const char *key : {"target-cpu", "tune-cpu"}) {
      Attribute cpu = f.getFnAttribute(key);
      if (!cpu.isValid() || good.contains(cpu.getRawPointer())) continue;
      StringRef name = cpu.getValueAsString();
      if (name.empty() || p.known->isCPUStringValid(name)) {
        good.insert(cpu.getRawPointer());
        continue;
      }
      warn(c, "in function " + f.getName() + ": unknown processor \"" + name + "\" ignored");
      f.removeFnAttr(key);
    }
    Attribute list = f.getFnAttribute("target-features");
    if (!list.isValid() || good.contains(list.getRawPointer())) continue;
    auto [it, fresh] = p.features.try_emplace(list.getValueAsString());
    std::string unknown;
    if (fresh) it->second = knownFeatures(*p.known, list.getValueAsString(), unknown);
    if (it->second == list.getValueAsString()) {
      good.insert(list.getRawPointer());
      continue;
    }
    if (!unknown.empty()) warn(c, "in function " + f.getName() + ": unknown processor features ignored: " + unknown);
    f.addFnAttr("target-features", it->second);
  }
}

// Declarations that the optimiser or codegen adds must be called through the GOT as well.
void callThroughGOT(Module &m) {
  if (!m.getRtLibUseGOT()) return;
  bool unwinds = false;
  for (Function &f : m) {
    if (f.isDeclaration()) {
      if (!f.isIntrinsic() && !f.hasFnAttribute(Attribute::NonLazyBind)) f.addFnAttr(Attribute::NonLazyBind);
    } else {
      unwinds |= f.hasPersonalityFn();
    }
  }
  if (!unwinds || m.getNamedValue("_Unwind_Resume")) return;
  // Codegen declares it where it lowers "resume".
  auto *t = FunctionType::get(Type::getVoidTy(m.getContext()), PointerType::get(m.getContext(), 0), false);
  Function::Create(t, GlobalValue::ExternalLinkage, "_Unwind_Resume", m)->addFnAttr(Attribute::NonLazyBind);
}

bool hasError(const Diagnostics &ds) {
  for (auto &d : ds)
    if (d.severity == 0) return true;
  return false;
}

void emit(lj_pipe &p, lj_mod *mod, lj_obj_view *view, lj_result &r) {
  Module &m = *mod->module;
  lj_ctx *c = mod->ctx;
  if (m.getTargetTriple().str().empty()) m.setTargetTriple(p.machine->getTargetTriple());
  if (m.getTargetTriple().getArch() != p.machine->getTargetTriple().getArch() || !m.getTargetTriple().isOSBinFormatELF() ||
      m.getDataLayout() != host().layout) {
    r.kind = complain(c, LJ_TARGET, "module is for target " + m.getTargetTriple().str() + " with data layout \"" +
                                        m.getDataLayoutStr() + "\", the pipeline for " + p.machine->getTargetTriple().str() +
                                        " with \"" + host().layout.getStringRepresentation() + "\"");
    return;
  }
  auto start = Clock::now();
  if (p.debug == LJ_DEBUG_NONE) StripDebugInfo(m);
  if (p.debug == LJ_DEBUG_LINES) stripNonLineTableDebugInfo(m);
  checkSubtargets(p, c, m);
  if ((r.kind = preparePatchpoints(c, m)) != LJ_OK) return;
  optimize(p, c, m);
  callThroughGOT(m);
  view->optimize_ns = since(start);
  if (hasError(c->diags)) {
    r.kind = LJ_CODEGEN;
    return;
  }

  start = Clock::now();
  lj_obj *o = pool().take();
  p.buffer.swap(o->bytes); // empty, with the memory of a released object
  p.codegen.run(m);
  p.buffer.swap(o->bytes);
  view->codegen_ns = since(start);
  if (hasError(c->diags)) {
    r.kind = LJ_CODEGEN;
    pool().give(o);
    return;
  }
  counters.objects++;
  view->data = o->bytes.data();
  view->size = o->bytes.size();
  r.handle = o;
}

} // namespace
} // namespace lj

extern "C" {

lj_result lj_pipeline_new(const lj_pipe_options *o) {
  auto &h = lj::host();
  std::string cpu(o->cpu ? o->cpu : "", o->cpu_len), features(o->features ? o->features : "", o->features_len);
  if (cpu.empty() && features.empty()) features = h.features;
  if (cpu.empty()) cpu = h.cpu;

  return lj::guarded(nullptr, nullptr, "", [&](lj_result &r) {
    auto p = std::make_unique<lj_pipe>();
    p->level = o->opt_level;
    p->debug = o->debug;
    p->statepoints = o->statepoints;
    p->known.reset(h.target->createMCSubtargetInfo(h.triple, "", ""));
    if (!p->known->isCPUStringValid(cpu)) {
      r = lj::refuse("unknown processor \"" + cpu + "\" for " + h.triple.str());
      return;
    }
    std::string unknown;
    features = lj::knownFeatures(*p->known, features, unknown);
    if (!unknown.empty()) {
      r = lj::refuse("unknown processor features for " + h.triple.str() + ": " + unknown);
      return;
    }
    p->machine.reset(h.target->createTargetMachine(h.triple, cpu, features, lj::targetOptions(*o), Reloc::PIC_,
                                                   CodeModel::Small, static_cast<CodeGenOptLevel>(o->opt_level)));
    MCContext *mc;
    if (p->machine->addPassesToEmitMC(p->codegen, mc, p->out, true)) {
      r = lj::refuse("LLVM cannot write objects for " + h.triple.str());
      return;
    }
    p->codegen.add(new lj::GCReset);
    lj::counters.pipelines++;
    r.handle = p.release();
  });
}

void lj_pipeline_free(lj_pipe *p) {
  if (p->poisoned) return;
  lj::counters.pipelines--;
  delete p;
}

lj_result lj_emit(lj_pipe *p, lj_mod *m, lj_obj_view *view) {
  bool was = p->poisoned;
  lj_result r = lj::guarded(m->ctx, &p->poisoned, m->name, [&](lj_result &r) { lj::emit(*p, m, view, r); });
  if (p->poisoned && !was) {
    lj::counters.pipelines--;
    lj::counters.leakedPipelines++;
  }
  return r;
}

void lj_object_free(lj_obj *o) {
  lj::counters.objects--;
  lj::pool().give(o);
}

} // extern "C"
