// carve.cpp: copying chosen globals into a new module.
//
// Both modules are in one LLVMContext, so metadata that says the same in both is shared, not copied: types above all,
// or each function would drag the debug info of half the module along. Copied are the nodes that lead to a subprogram
// (a function has its own), to a compile unit (its lists are left out) or to a global value.
#include "carve.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalIFunc.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace lj {
namespace {

// Nodes whose answer needs no search: 1 differs, 0 does not, -1 look at its operands.
int differsByKind(const CutIndex &index, const Metadata *md) {
  if (auto *c = dyn_cast<ConstantAsMetadata>(md)) return isa<ConstantData>(c->getValue()) ? 0 : 1;
  auto *n = dyn_cast<MDNode>(md);
  if (!n) return 0;
  // Without compile units nothing is debug info, whatever it looks like; nobody has checked it.
  if (!index.debugInfo && (isa<DINode>(n) || isa<DILocation>(n) || isa<DIAssignID>(n))) return 0;
  if (isa<DILocation>(n) || isa<DICompileUnit>(n) || isa<DILocalVariable>(n) || isa<DILabel>(n) || isa<DIAssignID>(n) ||
      isa<DILexicalBlockBase>(n))
    return 1;
  if (auto *s = dyn_cast<DISubprogram>(n))
    if (s->isDistinct()) return 1;
  if (isa<DIFile>(n) || isa<DIExpression>(n) || isa<DIBasicType>(n) || n->getNumOperands() == 0) return 0;
  return -1;
}

} // namespace

bool differs(CutIndex &index, const Metadata *md) {
  int k = differsByKind(index, md);
  if (k >= 0) return k;
  auto it = index.differs.find(md);
  if (it != index.differs.end()) return it->second;

  // All that md reaches is searched at once, stopping at nodes with an answer; then the answer "yes" runs back along
  // the edges and whatever it does not reach is a "no". So each node is searched once for all cuts.
  SetVector<const MDNode *, std::vector<const MDNode *>, DenseSet<const MDNode *>> reached;
  DenseMap<const MDNode *, SmallVector<const MDNode *, 2>> users;
  std::vector<const MDNode *> yes;
  reached.insert(cast<MDNode>(md));
  for (size_t i = 0; i < reached.size(); i++) {
    const MDNode *n = reached[i];
    for (const MDOperand &op : n->operands()) {
      if (!op) continue;
      int k = differsByKind(index, op);
      if (k < 0) {
        auto known = index.differs.find(op);
        if (known != index.differs.end()) k = known->second;
      }
      if (k == 1) {
        yes.push_back(n);
      } else if (k < 0) {
        auto *o = cast<MDNode>(op.get());
        users[o].push_back(n);
        reached.insert(o);
      }
    }
  }
  for (const MDNode *n : reached) index.differs[n] = false;
  while (!yes.empty()) {
    const MDNode *n = yes.back();
    yes.pop_back();
    bool &d = index.differs[n];
    if (d) continue;
    d = true;
    auto u = users.find(n);
    if (u != users.end()) yes.insert(yes.end(), u->second.begin(), u->second.end());
  }
  return index.differs[md];
}

Carver::Carver(lj_mod &src, CutIndex &idx, Purpose p)
    : source(src), from(*src.module), index(idx), purpose(p), to(std::make_unique<Module>(from.getModuleIdentifier(), from.getContext())) {
  to->setSourceFileName(from.getSourceFileName());
  to->setTargetTriple(from.getTargetTriple());
  to->setDataLayout(from.getDataLayout());
  same = [this](const Metadata *md) { return mapsToItself(md); };
  mapper = std::make_unique<ValueMapper>(map, RF_DoNotRemapAtoms, nullptr, this, &same);
}

Carver::~Carver() = default;

bool Carver::mapsToItself(const Metadata *md) {
  if (purpose == Data && isa<DINode>(md)) return true;
  if (auto *s = dyn_cast<DISubprogram>(md); s && index.debugInfo) {
    if (!s->isDistinct()) return !differs(index, md);
    if (auto *unit = s->getUnit()) {
      // Its unit is asked for next: have a copy without the lists of everything in the source file ready.
      DICompileUnit *&trimmed = index.trimmed[unit];
      if (!trimmed) {
        trimmed = MDNode::replaceWithDistinct(unit->clone());
        trimmed->replaceEnumTypes(nullptr);
        trimmed->replaceRetainedTypes(nullptr);
        trimmed->replaceGlobalVariables(nullptr);
        trimmed->replaceImportedEntities(nullptr);
        trimmed->replaceMacros(nullptr);
      }
      if (units.insert(trimmed)) map.MD()[unit].reset(trimmed);
    }
    return false;
  }
  return !differs(index, md);
}

// --- what is named, but not taken ---

Value *Carver::materialize(Value *v) {
  auto *g = dyn_cast<GlobalValue>(v);
  if (!g || g->getParent() == to.get()) return nullptr;
  if (!g->hasName() && !g->hasPrivateLinkage() && why.empty())
    why = "an unnamed global is used, whose definition could not be found again by name";
  if (auto *f = dyn_cast<Function>(g)) {
    if (isInlineHelper(*f) && (purpose == Cut || !f->hasAddressTaken(nullptr, false, true, false))) {
      Function *copy = makeFunction(*f, purpose == Cut && !f->hasAvailableExternallyLinkage() ? GlobalValue::InternalLinkage : f->getLinkage());
      copyComdat(*f, *copy);
      cloneBlocks(*f, *copy);
      mapper->scheduleRemapFunction(*copy);
      return copy;
    }
  }
  if (auto *var = dyn_cast<GlobalVariable>(g)) {
    if (isUsersConstant(*var)) {
      GlobalVariable *copy = makeVariable(*var, GlobalValue::PrivateLinkage);
      mapper->scheduleMapGlobalInitializer(*copy, *var->getInitializer());
      return copy;
    }
  }
  return declare(*g);
}

GlobalValue *Carver::declare(GlobalValue &v) {
  GlobalValue *d;
  auto *var = dyn_cast<GlobalVariable>(&v);
  if (auto *f = dyn_cast<Function>(&v)) {
    d = declareFunction(v, f);
  } else if (auto *t = dyn_cast<FunctionType>(v.getValueType())) {
    auto *f = dyn_cast_or_null<Function>(v.getAliaseeObject());
    d = declareFunction(v, f && f->getFunctionType() == t ? f : nullptr);
  } else {
    auto *n = new GlobalVariable(*to, v.getValueType(), var && var->isConstant(), GlobalValue::ExternalLinkage, nullptr, v.getName(),
                                 nullptr, v.getThreadLocalMode(), v.getAddressSpace(), var && var->isExternallyInitialized());
    if (var) {
      n->setAlignment(var->getAlign());
      n->setUnnamedAddr(var->getUnnamedAddr());
      if (auto model = var->getCodeModel()) n->setCodeModel(*model);
      if (MDNode *md = var->getMetadata(LLVMContext::MD_absolute_symbol)) n->setMetadata(LLVMContext::MD_absolute_symbol, md);
    }
    d = n;
  }
  if (v.hasExternalWeakLinkage()) d->setLinkage(GlobalValue::ExternalWeakLinkage);
  d->setVisibility(purpose == Cut && v.hasProtectedVisibility() ? GlobalValue::DefaultVisibility : v.getVisibility());
  d->setDSOLocal(d->isImplicitDSOLocal() || (v.isDSOLocal() && var));
  return d;
}

Function *Carver::declareFunction(GlobalValue &v, Function *like) {
  auto *d = Function::Create(cast<FunctionType>(v.getValueType()), GlobalValue::ExternalLinkage, v.getAddressSpace(), v.getName(), to.get());
  if (!like) {
    d->addFnAttr(Attribute::NonLazyBind);
    return d;
  }
  d->setCallingConv(like->getCallingConv());
  d->setAttributes(like->getAttributes());
  if (like->isDeclaration()) {
    if (like->hasMetadata()) d->copyMetadata(like, 0);
    return d;
  }
  // Of a body that may be another by the time this runs, nothing may be taken for granted.
  if (purpose == Cut && like->getLinkage() != GlobalValue::WeakAnyLinkage) dropInferredAttributes(*d);
  if (purpose == Cut) d->removeFnAttr(Attribute::AlwaysInline);
  return d;
}

// --- what is copied ---

Function *Carver::makeFunction(Function &f, GlobalValue::LinkageTypes linkage) {
  auto *copy = Function::Create(f.getFunctionType(), linkage, f.getAddressSpace(), f.getName(), to.get());
  copy->copyAttributesFrom(&f); // with personality and prefix data, which remapping corrects
  copy->setLinkage(linkage);
  copy->copyMetadata(&f, 0);
  auto arg = copy->arg_begin();
  for (Argument &a : f.args()) {
    arg->setName(a.getName());
    map[&a] = &*arg++;
  }
  return copy;
}

GlobalVariable *Carver::makeVariable(GlobalVariable &v, GlobalValue::LinkageTypes linkage) {
  auto *copy = new GlobalVariable(*to, v.getValueType(), v.isConstant(), linkage, nullptr, v.getName(), nullptr,
                                  v.getThreadLocalMode(), v.getAddressSpace());
  copy->copyAttributesFrom(&v);
  copy->setLinkage(linkage);
  if (v.hasMetadata()) {
    copy->copyMetadata(&v, 0);
    if (purpose != Data) copy->eraseMetadata(LLVMContext::MD_dbg); // its unit lists it
    mapper->remapGlobalObjectMetadata(*copy);
  }
  return copy;
}

void Carver::copyComdat(GlobalObject &g, GlobalObject &copy) {
  const Comdat *c = g.getComdat();
  if (purpose == Cut || !c || copy.isDeclaration()) return; // what replaces a definition must not lose against it
  Comdat *mine = to->getOrInsertComdat(c->getName());
  mine->setSelectionKind(c->getSelectionKind());
  copy.setComdat(mine);
}

void Carver::cloneBlocks(Function &f, Function &copy) {
  for (BasicBlock &bb : f) {
    BasicBlock *n = CloneBasicBlock(&bb, map, "", &copy, nullptr, false);
    map[&bb] = n;
    if (bb.hasAddressTaken())
      if (auto *address = BlockAddress::lookup(&bb)) map[address] = BlockAddress::get(&copy, n);
  }
}

void Carver::take(GlobalValue &v, bool asked) {
  taken.push_back(&v);
  GlobalValue::LinkageTypes linkage = v.getLinkage();
  if (v.hasLinkOnceODRLinkage()) linkage = GlobalValue::WeakODRLinkage;
  if (v.hasLinkOnceAnyLinkage()) linkage = GlobalValue::WeakAnyLinkage;
  if (auto *f = dyn_cast<Function>(&v)) {
    if (f->hasLocalLinkage()) linkage = GlobalValue::ExternalLinkage; // found by its name from other modules
    map[f] = makeFunction(*f, linkage);
  } else if (auto *var = dyn_cast<GlobalVariable>(&v)) {
    if (purpose == Cut && asked && var->hasLocalLinkage()) linkage = GlobalValue::ExternalLinkage;
    map[var] = makeVariable(*var, linkage);
  } else if (auto *a = dyn_cast<GlobalAlias>(&v)) {
    auto *copy = GlobalAlias::create(a->getValueType(), a->getAddressSpace(), linkage, a->getName(), to.get());
    copy->copyAttributesFrom(a);
    map[a] = copy;
  } else if (auto *i = dyn_cast<GlobalIFunc>(&v)) {
    auto *copy = GlobalIFunc::create(i->getValueType(), i->getAddressSpace(), linkage, i->getName(), nullptr, to.get());
    copy->copyAttributesFrom(i);
    map[i] = copy;
  }
}

void Carver::define(GlobalValue &v) {
  GlobalValue *copy = cast<GlobalValue>(map[&v]);
  if (auto *f = dyn_cast<Function>(&v)) {
    copyComdat(*f, *cast<Function>(copy));
    mapper->remapFunction(*cast<Function>(copy));
  } else if (auto *var = dyn_cast<GlobalVariable>(&v)) {
    if (var->hasInitializer()) cast<GlobalVariable>(copy)->setInitializer(mapper->mapConstant(*var->getInitializer()));
    copyComdat(*var, *cast<GlobalVariable>(copy));
  } else if (auto *a = dyn_cast<GlobalAlias>(&v)) {
    cast<GlobalAlias>(copy)->setAliasee(mapper->mapConstant(*a->getAliasee()));
  } else if (auto *i = dyn_cast<GlobalIFunc>(&v)) {
    cast<GlobalIFunc>(copy)->setResolver(mapper->mapConstant(*i->getResolver()));
  }
}

std::unique_ptr<Module> Carver::finish() {
  for (GlobalValue *v : taken) // first all blocks: label addresses cross functions
    if (auto *f = dyn_cast<Function>(v)) cloneBlocks(*f, *cast<Function>(map[f]));
  for (GlobalValue *v : taken) define(*v);
  copyModuleFlags();
  if (purpose != Cut) copyUsed();
  if (!why.empty()) return nullptr;
  return std::move(to);
}

void Carver::copyModuleFlags() {
  if (NamedMDNode *flags = from.getModuleFlagsMetadata()) {
    NamedMDNode *copy = to->getOrInsertModuleFlagsMetadata();
    for (MDNode *n : flags->operands()) {
      auto *behavior = mdconst::dyn_extract_or_null<ConstantInt>(n->getOperand(0));
      // Lists are joined when the parts are linked again: one part has them.
      bool list = behavior && (behavior->getZExtValue() == Module::Append || behavior->getZExtValue() == Module::AppendUnique);
      if (purpose == Split && list) continue;
      copy->addOperand(mapper->mapMDNode(*n));
    }
  }
  if (purpose == Data) {
    to->setModuleInlineAsm(from.getModuleInlineAsm());
    for (NamedMDNode &n : from.named_metadata()) {
      if (n.getName() == "llvm.module.flags") continue;
      NamedMDNode *copy = to->getOrInsertNamedMetadata(n.getName());
      for (MDNode *op : n.operands()) copy->addOperand(mapper->mapMDNode(*op));
    }
  } else if (!units.empty()) {
    NamedMDNode *list = to->getOrInsertNamedMetadata("llvm.dbg.cu");
    for (DICompileUnit *u : units) list->addOperand(u);
  }
}

// The entries of llvm.used and llvm.compiler.used go where what they name is defined.
void Carver::copyUsed() {
  for (bool compiler : {false, true}) {
    SmallVector<GlobalValue *, 16> mine;
    auto &set = compiler ? index.compilerUsed : index.used;
    for (GlobalValue *v : taken)
      if (set.contains(v)) mine.push_back(cast<GlobalValue>(map[v]));
    if (mine.empty()) continue;
    if (compiler) appendToCompilerUsed(*to, mine);
    else appendToUsed(*to, mine);
  }
}

} // namespace lj
