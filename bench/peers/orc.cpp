// orc.cpp FUNCTIONS REPLACEMENTS [reused]: one small function of many replaced through ORC's LLJIT, with JITLink and
// redirectable symbols, -O0 and FastISel. LLJIT itself sets position-independent code and the small code model.
// "reused" keeps target machine and codegen passes over modules, which LLJIT does not offer by itself.
#include "peer.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/ExecutionEngine/Orc/CompileUtils.h"
#include "llvm/ExecutionEngine/Orc/JITLinkRedirectableSymbolManager.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/ThreadSafeModule.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace llvm::orc;

namespace {

ExitOnError orFail("orc: ");

// ReusedCompiler compiles with passes that are built once.
class ReusedCompiler : public IRCompileLayer::IRCompiler {
  std::unique_ptr<TargetMachine> machine;
  SmallVector<char, 0> buffer;
  raw_svector_ostream out{buffer};
  legacy::PassManager passes;

public:
  explicit ReusedCompiler(JITTargetMachineBuilder b)
      : IRCompiler(irManglingOptionsFromTargetOptions(b.getOptions())), machine(orFail(b.createTargetMachine())) {
    MCContext *context;
    if (machine->addPassesToEmitMC(passes, context, out, true)) peer::fail("orc: no object emission");
  }
  Expected<std::unique_ptr<MemoryBuffer>> operator()(Module &m) override {
    buffer.clear();
    passes.run(m);
    SmallVector<char, 0> copy(buffer);
    return std::make_unique<SmallVectorMemoryBuffer>(std::move(copy), m.getModuleIdentifier(), false);
  }
};

std::unique_ptr<LLJIT> makeJIT(bool reused) {
  auto builder = orFail(JITTargetMachineBuilder::detectHost());
  builder.setCodeGenOptLevel(CodeGenOptLevel::None);
  builder.getOptions().EnableFastISel = true;
  LLJITBuilder b;
  b.setJITTargetMachineBuilder(builder);
  if (reused)
    b.setCompileFunctionCreator([](JITTargetMachineBuilder jtmb) -> Expected<std::unique_ptr<IRCompileLayer::IRCompiler>> {
      return std::make_unique<ReusedCompiler>(std::move(jtmb));
    });
  return orFail(b.create());
}

constexpr auto callable = JITSymbolFlags::Exported | JITSymbolFlags::Callable;

// Program is the functions in one LLJIT.
struct Program {
  int n;
  std::unique_ptr<LLJIT> jit;
  ThreadSafeContext context{std::make_unique<LLVMContext>()};
  std::unique_ptr<RedirectableSymbolManager> stubs;
  std::vector<ResourceTrackerSP> trackers;
  std::vector<double> total, removal;

  Program(int n, bool reused) : n(n), jit(makeJIT(reused)), trackers(n) {
    stubs = orFail(JITLinkRedirectableSymbolManager::Create(cast<ObjectLinkingLayer>(jit->getObjLinkingLayer())));
    SymbolMap targets;
    for (int i = 0; i < n; i++) targets[symbol(i)] = {ExecutorAddr(), callable};
    orFail(stubs->createRedirectableSymbols(jit->getMainJITDylib().createResourceTracker(), targets));
    orFail(jit->lookup("f0"));
  }
  SymbolStringPtr symbol(int i) { return jit->getExecutionSession().intern("f" + std::to_string(i)); }

  void define(int i, int version) {
    std::string suffix = "_v" + std::to_string(version), text = peer::functionText(i, version, n, suffix);
    auto start = peer::Clock::now();
    auto module = context.withContextDo([&](LLVMContext *c) {
      SMDiagnostic d;
      auto m = parseAssemblyString(text, d, *c);
      if (!m) peer::fail("orc: " + d.getMessage().str());
      m->setDataLayout(jit->getDataLayout());
      m->setTargetTriple(jit->getTargetTriple());
      return m;
    });
    auto &library = jit->getMainJITDylib();
    auto tracker = library.createResourceTracker();
    orFail(jit->addIRModule(tracker, ThreadSafeModule(std::move(module), context)));
    auto address = orFail(jit->lookup("f" + std::to_string(i) + suffix));
    orFail(stubs->redirect(library, symbol(i), {address, callable}));
    auto linked = peer::Clock::now();
    if (trackers[i]) orFail(trackers[i]->remove());
    trackers[i] = tracker;
    auto end = peer::Clock::now();
    total.push_back(peer::micros(start, end));
    removal.push_back(peer::micros(linked, end));
  }
};

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) peer::fail("usage: orc FUNCTIONS REPLACEMENTS [reused]");
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  int n = peer::number(argv[1]), replacements = peer::number(argv[2]);
  // LLVM itself is warm before memory is counted, as livejit's engine is.
  { Program warm(1, argc > 3); warm.define(0, 0); }
  long before = peer::resident();
  Program p(n, argc > 3);
  for (int i = 0; i < n; i++) p.define(i, 0);
  peer::tell("memory", double(peer::resident() - before) / n);
  p.total.clear();
  p.removal.clear();
  for (int k = 0; k < replacements; k++) p.define(int((long(k) * 7919) % n), 1 + k);
  auto *f0 = orFail(p.jit->lookup("f0")).toPtr<long (*)(long)>();
  if (f0(0) != replacements - (replacements - 1) % n) peer::fail("orc: f0 is not its newest version");
  peer::tell("replace", peer::median(p.total));
  peer::tell("delete", peer::median(p.removal));
  return 0;
}
