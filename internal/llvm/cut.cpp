// cut.cpp: one function as a module of its own.
#include "carve.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"

using namespace llvm;

namespace lj {
namespace {

// Finds what label addresses tie together: a function whose label is known elsewhere, who knows it, and the tables.
class Clusters {
  CutIndex &index;

  CutIndex::Cluster *of(const GlobalObject *g) {
    auto *&c = index.cluster[g];
    if (!c) {
      index.clusters.push_back(std::make_unique<CutIndex::Cluster>());
      c = index.clusters.back().get();
    }
    return c;
  }

  void join(CutIndex::Cluster *a, GlobalObject *g) {
    auto it = index.cluster.find(g);
    if (it == index.cluster.end()) {
      index.cluster[g] = a;
      if (auto *f = dyn_cast<Function>(g)) a->functions.insert(f);
      else a->variables.insert(cast<GlobalVariable>(g));
      return;
    }
    CutIndex::Cluster *b = it->second;
    if (a == b) return;
    for (Function *f : b->functions) a->functions.insert(f), index.cluster[f] = a;
    for (GlobalVariable *v : b->variables) a->variables.insert(v), index.cluster[v] = a;
    if (a->obstacle.empty()) a->obstacle = b->obstacle;
    b->functions.clear();
    b->variables.clear();
  }

  // Everything that uses c, through constants and local tables, belongs to the cluster.
  void users(CutIndex::Cluster *cluster, Constant *c, SmallPtrSetImpl<Constant *> &seen) {
    if (!seen.insert(c).second) return;
    for (User *u : c->users()) {
      if (auto *i = dyn_cast<Instruction>(u)) {
        join(cluster, i->getFunction());
      } else if (auto *f = dyn_cast<Function>(u)) {
        join(cluster, f);
      } else if (auto *v = dyn_cast<GlobalVariable>(u)) {
        if (v->getName().starts_with("llvm.")) continue;
        join(cluster, v);
        if (!isLabelTable(*v)) {
          if (cluster->obstacle.empty())
            cluster->obstacle = ("variable " + v->getName() + ", which is not local to it, holds or leads to addresses of its labels").str();
          continue;
        }
        users(cluster, v, seen);
      } else if (auto *a = dyn_cast<GlobalAlias>(u)) {
        if (cluster->obstacle.empty()) cluster->obstacle = ("alias " + a->getName() + " names a table of its labels").str();
      } else if (auto *e = dyn_cast<Constant>(u)) {
        users(cluster, e, seen);
      }
    }
  }

public:
  explicit Clusters(CutIndex &i) : index(i) {}

  void function(Function &f) {
    for (BasicBlock &bb : f) {
      if (!bb.hasAddressTaken()) continue;
      auto *address = BlockAddress::lookup(&bb);
      if (!address) continue;
      CutIndex::Cluster *c = of(&f);
      c->functions.insert(&f);
      SmallPtrSet<Constant *, 8> seen;
      users(c, address, seen);
    }
  }
};

} // namespace

std::unique_ptr<CutIndex> makeIndex(Module &m) {
  auto index = std::make_unique<CutIndex>();
  NamedMDNode *units = m.getNamedMetadata("llvm.dbg.cu");
  index->debugInfo = units && units->getNumOperands() > 0;
  Clusters clusters(*index);
  for (Function &f : m) clusters.function(f);
  for (bool compiler : {false, true}) {
    SmallVector<GlobalValue *, 16> used;
    collectUsedGlobalVariables(m, used, compiler);
    (compiler ? index->compilerUsed : index->used).insert(used.begin(), used.end());
  }
  return index;
}

static void cut(lj_mod *mod, StringRef name, lj_result &r) {
  lj_ctx *c = mod->ctx;
  Function *f = mod->module->getFunction(name);
  if (!f || f->isDeclaration() || f->hasAvailableExternallyLinkage()) {
    r.kind = complain(c, LJ_NOT_FOUND, "no body of a function " + name + " in module " + mod->name);
    return;
  }
  if (!mod->index) mod->index = makeIndex(*mod->module);
  Carver carver(*mod, *mod->index, Carver::Cut);
  std::string names;
  auto it = mod->index->cluster.find(f);
  if (it == mod->index->cluster.end()) {
    carver.take(*f);
    names = name.str();
  } else {
    CutIndex::Cluster &cluster = *it->second;
    if (!cluster.obstacle.empty()) {
      r.kind = complain(c, LJ_UNSUPPORTED, "function " + name + " cannot be cut out: " + cluster.obstacle);
      return;
    }
    names = name.str();
    for (Function *g : cluster.functions) {
      carver.take(*g);
      if (g != f) names += '\0' + g->getName().str();
    }
    for (GlobalVariable *v : cluster.variables) carver.take(*v);
  }
  auto m = carver.finish();
  if (!m) {
    r.kind = complain(c, LJ_UNSUPPORTED, "function " + name + " cannot be cut out: " + carver.obstacle());
    return;
  }
  giveModule(c, mod->name, std::move(m), r);
  r.bytes = copyBytes(names);
}

} // namespace lj

extern "C" lj_result lj_cut(lj_mod *m, const char *function, size_t functionLen) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) { lj::cut(m, StringRef(function, functionLen), r); });
}
