// share.cpp: one share of a prepared module, so that several workers compile it together.
//
// Each worker has a module of its own, read from the same input, and drops from it what others compile. That is far
// cheaper than copying its share out: bodies go, declarations stay. The first share has the data, and the functions
// that cannot be apart from it or from each other.
#include "carve.h"

#include "llvm/IR/Comdat.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalVariable.h"

using namespace llvm;

namespace lj {

namespace {

class Sharer {
  Module &m;
  const CutIndex &index;
  unsigned mine, shares;
  DenseSet<const Function *> first;        // must be in the first share
  DenseSet<const GlobalVariable *> tables; // of label addresses; not to be told once the labels are gone

  // A definition that other modules see by its name; what is left of the others goes with its users.
  static bool isShared(const Function &f) { return !f.isDeclaration() && !f.hasAvailableExternallyLinkage() && !f.hasLocalLinkage(); }

  bool goesWithUsers(const GlobalVariable &v) const { return isUsersConstant(v) || tables.contains(&v); }

  void keepFirst(const GlobalObject *g) {
    if (auto *f = dyn_cast_or_null<Function>(g)) first.insert(f);
  }

  void findFirst() {
    for (auto &[g, cluster] : index.cluster) keepFirst(g);
    for (const GlobalVariable &v : m.globals())
      if (isLabelTable(v)) tables.insert(&v);
    for (const GlobalAlias &a : m.aliases()) keepFirst(a.getAliaseeObject());
    for (const char *list : {"llvm.global_ctors", "llvm.global_dtors"}) {
      auto *v = m.getNamedGlobal(list);
      if (!v || !v->hasInitializer()) continue;
      for (const Use &entry : v->getInitializer()->operands())
        for (const Use &u : cast<Constant>(entry)->operands()) keepFirst(dyn_cast<GlobalObject>(u->stripPointerCasts()));
    }
    for (auto &entry : m.getComdatSymbolTable()) {
      auto &users = entry.second.getUsers();
      if (users.size() < 2) continue;
      for (const GlobalObject *g : users) keepFirst(g);
    }
  }

  // Compiling takes time in proportion to the number of instructions, and some for each function.
  static uint64_t cost(const Function &f) { return 20 + f.getInstructionCount(); }

  static void declare(Function &f) {
    f.deleteBody(); // with personality, prefix data and metadata
    f.setComdat(nullptr);
    f.setVisibility(GlobalValue::DefaultVisibility);
    f.setDSOLocal(false);
  }

  static void declare(GlobalVariable &v) {
    v.setInitializer(nullptr);
    v.setComdat(nullptr);
    v.clearMetadata();
    v.setLinkage(v.hasExternalWeakLinkage() ? GlobalValue::ExternalWeakLinkage : GlobalValue::ExternalLinkage);
    v.setVisibility(GlobalValue::DefaultVisibility);
    v.setDSOLocal(false);
  }

  void declare(GlobalAlias &a) {
    GlobalValue *d;
    if (auto *t = dyn_cast<FunctionType>(a.getValueType())) {
      auto *f = Function::Create(t, GlobalValue::ExternalLinkage, a.getAddressSpace(), "", &m);
      auto *base = dyn_cast_or_null<Function>(a.getAliaseeObject());
      if (base && base->getFunctionType() == t) {
        f->setCallingConv(base->getCallingConv());
        f->setAttributes(base->getAttributes());
      }
      f->addFnAttr(Attribute::NonLazyBind);
      d = f;
    } else {
      d = new GlobalVariable(m, a.getValueType(), false, GlobalValue::ExternalLinkage, nullptr, "", nullptr, a.getThreadLocalMode(),
                             a.getAddressSpace());
    }
    d->takeName(&a);
    a.replaceAllUsesWith(d);
    a.eraseFromParent();
  }

  // Everything that is not code belongs to the first share.
  void dropData() {
    for (GlobalAlias &a : make_early_inc_range(m.aliases())) declare(a);
    for (GlobalVariable &v : make_early_inc_range(m.globals())) {
      if (v.hasAppendingLinkage() || v.getName().starts_with("llvm.")) {
        v.eraseFromParent();
      } else if (v.hasInitializer() && !goesWithUsers(v)) {
        declare(v);
      }
    }
    for (DICompileUnit *unit : m.debug_compile_units()) {
      unit->replaceEnumTypes(nullptr);
      unit->replaceRetainedTypes(nullptr);
      unit->replaceGlobalVariables(nullptr);
      unit->replaceImportedEntities(nullptr);
      unit->replaceMacros(nullptr);
    }
  }

  // What the other shares use must not be dropped because this one does not.
  void keepData() {
    for (GlobalVariable &v : m.globals()) {
      if (v.hasLinkOnceODRLinkage()) v.setLinkage(GlobalValue::WeakODRLinkage);
      if (v.hasLinkOnceAnyLinkage()) v.setLinkage(GlobalValue::WeakAnyLinkage);
    }
  }

  // Private constants that only dropped functions used. Constants may use each other.
  void dropUnusedConstants() {
    for (bool again = true; again;) {
      again = false;
      for (GlobalVariable &v : make_early_inc_range(m.globals())) {
        if (!goesWithUsers(v)) continue;
        v.removeDeadConstantUsers();
        if (!v.use_empty()) continue;
        v.eraseFromParent();
        again = true;
      }
    }
  }

public:
  Sharer(Module &m, const CutIndex &index, unsigned mine, unsigned shares) : m(m), index(index), mine(mine), shares(shares) {}

  void run() {
    findFirst();
    uint64_t total = 0, before = 0;
    for (const Function &f : m)
      if (isShared(f)) {
        total += cost(f);
        if (first.contains(&f)) before += cost(f);
      }
    SmallVector<Function *, 0> others;
    for (Function &f : m) {
      if (!isShared(f)) continue;
      unsigned share = 0;
      if (!first.contains(&f)) {
        share = std::min<uint64_t>(before * shares / (total + 1), shares - 1);
        before += cost(f);
      }
      if (share != mine) others.push_back(&f);
    }
    for (Function *f : others) declare(*f);
    if (mine == 0) keepData();
    else dropData();
    dropUnusedConstants();
  }
};

} // namespace
} // namespace lj

extern "C" lj_result lj_share(lj_mod *mod, uint32_t share, uint32_t shares) {
  return lj::guarded(mod->ctx, nullptr, mod->name, [&](lj_result &) {
    auto index = lj::makeIndex(*mod->module);
    mod->index.reset();
    lj::Sharer(*mod->module, *index, share, shares).run();
  });
}
