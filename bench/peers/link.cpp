// link.cpp OBJECT FUNCTION LINKS: one precompiled object linked and freed many times by JITLink and by RuntimeDyld alone,
// without ORC or MCJIT around them. The time is that from bytes to an address; freeing is not in it.
#include "peer.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/SymbolStringPool.h"
#include "llvm/ExecutionEngine/RuntimeDyld.h"
#include "llvm/ExecutionEngine/SectionMemoryManager.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace llvm::jitlink;

namespace {

ExitOnError orFail("link: ");

// Context is one link of JITLink; undefined names resolve to this program's own code.
struct Context : JITLinkContext {
  JITLinkMemoryManager &memory;
  StringRef wanted;
  uint64_t &address;
  JITLinkMemoryManager::FinalizedAlloc &result;

  Context(JITLinkMemoryManager &m, StringRef wanted, uint64_t &address, JITLinkMemoryManager::FinalizedAlloc &result)
      : JITLinkContext(nullptr), memory(m), wanted(wanted), address(address), result(result) {}
  JITLinkMemoryManager &getMemoryManager() override { return memory; }
  void notifyFailed(Error e) override { orFail(std::move(e)); }
  void lookup(const LookupMap &names, std::unique_ptr<JITLinkAsyncLookupContinuation> then) override {
    AsyncLookupResult r;
    for (auto &name : names)
      r[name.first] = {orc::ExecutorAddr::fromPtr(&peer::resident), JITSymbolFlags::Exported | JITSymbolFlags::Callable};
    then->run(std::move(r));
  }
  Error notifyResolved(LinkGraph &g) override {
    for (auto *s : g.defined_symbols())
      if (s->hasName() && *s->getName() == wanted) address = s->getAddress().getValue();
    return Error::success();
  }
  void notifyFinalized(JITLinkMemoryManager::FinalizedAlloc a) override { result = std::move(a); }
};

double byJITLink(MemoryBufferRef object, StringRef function, int links) {
  auto memory = orFail(InProcessMemoryManager::Create());
  auto names = std::make_shared<orc::SymbolStringPool>();
  std::vector<double> took;
  for (int i = 0; i < links; i++) {
    uint64_t address = 0;
    JITLinkMemoryManager::FinalizedAlloc result;
    auto start = peer::Clock::now();
    auto graph = orFail(createLinkGraphFromObject(object, names));
    link(std::move(graph), std::make_unique<Context>(*memory, function, address, result));
    took.push_back(peer::micros(start, peer::Clock::now()));
    if (!address) peer::fail("link: JITLink gave no address");
    orFail(memory->deallocate(std::move(result)));
  }
  return peer::median(took);
}

// Resolver answers for names outside the object.
struct Resolver : LegacyJITSymbolResolver {
  JITSymbol findSymbol(const std::string &) override { return {uint64_t(&peer::resident), JITSymbolFlags::Exported}; }
  JITSymbol findSymbolInLogicalDylib(const std::string &) override { return nullptr; }
};

double byRuntimeDyld(MemoryBufferRef object, StringRef function, int links) {
  std::vector<double> took;
  for (int i = 0; i < links; i++) {
    SectionMemoryManager memory;
    Resolver resolver;
    auto start = peer::Clock::now();
    auto file = orFail(object::ObjectFile::createObjectFile(object));
    RuntimeDyld linker(memory, resolver);
    linker.loadObject(*file);
    linker.resolveRelocations();
    memory.finalizeMemory();
    bool there = linker.getSymbol(function).getAddress();
    took.push_back(peer::micros(start, peer::Clock::now()));
    if (!there || linker.hasError()) peer::fail("link: RuntimeDyld: " + linker.getErrorString().str());
  }
  return peer::median(took);
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 4) peer::fail("usage: link OBJECT FUNCTION LINKS");
  auto file = MemoryBuffer::getFile(argv[1]);
  if (!file) peer::fail(std::string("link: ") + argv[1] + ": " + file.getError().message());
  int links = peer::number(argv[3]);
  peer::tell("jitlink", byJITLink((*file)->getMemBufferRef(), argv[2], links));
  peer::tell("rtdyld", byRuntimeDyld((*file)->getMemBufferRef(), argv[2], links));
  return 0;
}
