// cut.cpp: chosen functions and variables as a module of their own.
#include "carve.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalVariable.h"
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

namespace {

// One cut: finds what is asked for by name, with what is tied to it, and carves it out.
class Cutter {
  lj_mod *mod;
  SmallSetVector<Function *, 4> functions; // in the order asked for, then those tied to them
  SmallSetVector<GlobalVariable *, 4> variables;
  SmallPtrSet<GlobalVariable *, 4> asked;
  std::string why; // the first obstacle

  int32_t notFound(StringRef kind, StringRef name) {
    return complain(mod->ctx, LJ_NOT_FOUND, "no " + kind + " " + name + " in module " + mod->name);
  }

  int32_t findAll(StringRef functionNames, StringRef variableNames) {
    while (!functionNames.empty()) {
      auto [name, rest] = functionNames.split('\0');
      functionNames = rest;
      Function *f = mod->module->getFunction(name);
      if (!f || f->isDeclaration() || f->hasAvailableExternallyLinkage()) return notFound("body of a function", name);
      functions.insert(f);
    }
    while (!variableNames.empty()) {
      auto [name, rest] = variableNames.split('\0');
      variableNames = rest;
      GlobalVariable *v = mod->module->getNamedGlobal(name);
      if (!v || v->isDeclaration() || v->hasAvailableExternallyLinkage() || v->hasAppendingLinkage() || isUsersConstant(*v) || isLabelTable(*v))
        return notFound("definition of a variable", name);
      variables.insert(v);
      asked.insert(v);
    }
    return LJ_OK;
  }

  void addCluster(const GlobalObject *g) {
    auto it = mod->index->cluster.find(g);
    if (it == mod->index->cluster.end()) return;
    CutIndex::Cluster &c = *it->second;
    if (why.empty() && !c.obstacle.empty())
      why = ((isa<Function>(g) ? "function " : "variable ") + g->getName() + " cannot be cut out: " + c.obstacle).str();
    functions.insert(c.functions.begin(), c.functions.end());
    variables.insert(c.variables.begin(), c.variables.end());
  }

public:
  explicit Cutter(lj_mod *m) : mod(m) {}

  void run(StringRef functionNames, StringRef variableNames, lj_result &r) {
    r.kind = findAll(functionNames, variableNames);
    if (r.kind != LJ_OK) return;
    if (!mod->index) mod->index = makeIndex(*mod->module);
    for (size_t i = 0, n = functions.size(); i < n; i++) addCluster(functions[i]);
    for (size_t i = 0, n = variables.size(); i < n; i++) addCluster(variables[i]);
    std::unique_ptr<Module> m;
    if (why.empty()) {
      Carver carver(*mod, *mod->index, Carver::Cut);
      for (Function *f : functions) carver.take(*f);
      for (GlobalVariable *v : variables) carver.take(*v, asked.contains(v));
      m = carver.finish();
      if (!m) {
        StringRef first = !functions.empty() ? functions[0]->getName() : variables[0]->getName();
        why = ((functions.empty() ? "variable " : "function ") + first + " cannot be cut out: " + carver.obstacle()).str();
      }
    }
    if (!m) {
      r.kind = complain(mod->ctx, LJ_UNSUPPORTED, why);
      return;
    }
    std::string names;
    for (Function *f : functions) names += (names.empty() ? "" : std::string(1, '\0')) + f->getName().str();
    giveModule(mod->ctx, mod->name, std::move(m), r);
    r.bytes = copyBytes(names);
  }
};

} // namespace
} // namespace lj

extern "C" lj_result lj_cut(lj_mod *m, const char *functions, size_t functionsLen, const char *variables, size_t variablesLen) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    lj::Cutter(m).run(StringRef(functions, functionsLen), StringRef(variables, variablesLen), r);
  });
}
