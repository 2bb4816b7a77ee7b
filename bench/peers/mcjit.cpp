// mcjit.cpp FUNCTIONS REPLACEMENTS: the nearest MCJIT comes to replacing: the old module is removed and one under a new
// name added. Callers that are linked are not rebound and no memory comes back, so this is less than the job.
#include "peer.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/ExecutionEngine/MCJIT.h"
#include "llvm/ExecutionEngine/SectionMemoryManager.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"

using namespace llvm;

int main(int argc, char **argv) {
  if (argc < 3) peer::fail("usage: mcjit FUNCTIONS REPLACEMENTS");
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  int n = peer::number(argv[1]), replacements = peer::number(argv[2]);
  LLVMContext context;
  TargetOptions options;
  options.EnableFastISel = true;
  std::string why;
  auto *engine = EngineBuilder(std::make_unique<Module>("first", context))
                     .setErrorStr(&why)
                     .setEngineKind(EngineKind::JIT)
                     .setOptLevel(CodeGenOptLevel::None)
                     .setTargetOptions(options)
                     .setMCJITMemoryManager(std::make_unique<SectionMemoryManager>())
                     .create();
  if (!engine) peer::fail("mcjit: " + why);
  std::vector<Module *> modules(n + 1);
  std::vector<double> total;
  auto define = [&](int i, int version) {
    std::string suffix = version ? "_v" + std::to_string(version) : "", text = peer::functionText(i, version, n, suffix);
    auto start = peer::Clock::now();
    SMDiagnostic d;
    auto m = parseAssemblyString(text, d, context);
    if (!m) peer::fail("mcjit: " + d.getMessage().str());
    m->setDataLayout(engine->getDataLayout());
    Module *now = m.get();
    engine->addModule(std::move(m));
    if (!engine->getFunctionAddress("f" + std::to_string(i) + suffix)) peer::fail("mcjit: no address");
    if (modules[i]) {
      engine->removeModule(modules[i]);
      delete modules[i];
    }
    modules[i] = now;
    total.push_back(peer::micros(start, peer::Clock::now()));
  };
  define(n, 0); // a function apart: LLVM itself is warm before memory is counted, as for the others
  long before = peer::resident();
  for (int i = n - 1; i >= 0; i--) define(i, 0); // callees first: MCJIT resolves at once
  peer::tell("memory", double(peer::resident() - before) / n);
  total.clear();
  for (int k = 0; k < replacements; k++) define(int((long(k) * 7919) % n), 1 + k);
  peer::tell("replace", peer::median(total));
  return 0;
}
