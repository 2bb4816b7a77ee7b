// fingerprint.cpp: functions and variables as canonical bytes.
#include "fingerprint.h"
#include "carve.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Metadata.h"

using namespace llvm;

namespace lj {
namespace {

// What a word of an operand says; the number is in the lower bits.
enum : uint32_t {
  kValue = 0u << 28,   // argument or instruction
  kBlock = 1u << 28,   // block of the same function
  kContent = 2u << 28, // edge to a global that belongs to its users
  kNamed = 3u << 28,   // a global; its reference follows
  kFolded = 4u << 28,  // a global and an edge to its content; its reference follows
  kConstant = 5u << 28, // a constant; its hash follows
  kMetadata = 6u << 28,
  kAsm = 7u << 28,
  kNothing = 8u << 28,
};

bool isDebug(const Instruction &i) { return isa<DbgInfoIntrinsic>(i); }

} // namespace

void Numbering::grow() {
  std::vector<Slot> old(slots.size() * 2);
  old.swap(slots);
  shift--;
  for (const Slot &s : old)
    if (s.generation == generation) find(s.key) = s;
}

Fingerprints::Fingerprints(Module &mod) : m(mod), index(makeIndex(mod)) {
  m.getContext().getMDKindNames(metadataKinds);
  m.getContext().getSyncScopeNames(syncScopes);
  for (Function &f : m)
    if (!f.isDeclaration()) f.renumberBlocks(); // so that a block's number is its position
  moduleHash = hashModule();
}

Hash Fingerprints::code(const GlobalValue &v) {
  Bytes b;
  b.hash(moduleHash);
  auto *g = dyn_cast<GlobalObject>(&v);
  if (!g || isa<GlobalIFunc>(v)) { // an alias or ifunc
    b.hash(reference(v));
    const Constant *target = g ? cast<GlobalIFunc>(v).getResolver() : cast<GlobalAlias>(v).getAliasee();
    out.clear();
    numbers.clear();
    Node n;
    current = &n;
    writeOperand(target);
    b.hash(out.hash128());
    for (const Edge &e : n.edges)
      if (!e.named) b.hash(content(*e.to, Shallow));
    return b.hash128();
  }
  b.hash(content(*g, isa<Function>(v) ? Deep : Shallow));
  auto it = index->cluster.find(g);
  if (it != index->cluster.end()) {
    std::vector<Hash> all;
    for (const Function *f : it->second->functions) all.push_back(content(*f, Deep));
    for (const GlobalVariable *t : it->second->variables) all.push_back(content(*t, Deep));
    std::sort(all.begin(), all.end());
    for (const Hash &h : all) b.hash(h);
  }
  return b.hash128();
}

// Unlike code, it does not hold what only code that calls a function looks at, such as the function's attributes.
Hash Fingerprints::init(const GlobalVariable &v) {
  Bytes b;
  b.hash(type(v.getValueType()));
  b.hash(v.hasInitializer() ? datum(v.getInitializer()) : Hash{});
  return b.hash128();
}

uint64_t Fingerprints::lines(const Function &f) { return node(f).lines; }

Fingerprints::Node &Fingerprints::node(const GlobalObject &g) {
  auto &n = nodes[&g];
  if (n) return *n;
  n = std::make_unique<Node>();
  current = n.get();
  out.clear();
  numbers.clear();
  values = 0;
  if (auto *f = dyn_cast<Function>(&g)) writeFunction(*f);
  else writeVariable(cast<GlobalVariable>(g));
  for (size_t i = 0; i < pending.size(); i++) writeNode(pending[i]); // grows while we work
  pending.clear();
  current->body = out.hash128();
  if (auto *f = dyn_cast<Function>(&g); f && f->getSubprogram()) current->lines = hashLines(*f);
  return *current;
}

// --- variables ---

void Fingerprints::writeComdat(const GlobalObject &g) {
  const Comdat *c = g.getComdat();
  out.u32(c ? uint32_t(c->getSelectionKind()) + 1 : 0);
  if (c) out.str(c->getName());
}

void Fingerprints::writeVariable(const GlobalVariable &v) {
  Type *t = v.getValueType();
  out.hash(type(t));
  out.u64(t->isSized() ? m.getDataLayout().getTypeAllocSize(t).getKnownMinValue() : 0);
  out.u32(v.getAlign() ? uint32_t(v.getAlign()->value()) : 0);
  out.u32(uint32_t(v.isConstant()) | uint32_t(v.isExternallyInitialized()) << 1 | uint32_t(v.hasCommonLinkage()) << 2 |
          uint32_t(v.getUnnamedAddr()) << 4 | uint32_t(v.getThreadLocalMode()) << 8);
  out.u32(v.getAddressSpace());
  out.str(v.getSection());
  out.u32(v.getCodeModel() ? uint32_t(*v.getCodeModel()) + 1 : 0);
  writeComdat(v);
  SmallVector<std::pair<unsigned, MDNode *>, 4> list;
  v.getAllMetadata(list);
  writeAttachments(list);
  current->header = out.hash128();
  out.clear();
  if (v.hasInitializer()) writeOperand(v.getInitializer());
}

// --- functions ---

void Fingerprints::writeFunction(const Function &f) {
  out.hash(type(f.getFunctionType()));
  out.u32(f.getCallingConv());
  out.hash(attributeList(f.getAttributes()));
  out.u32(f.getAlign() ? uint32_t(f.getAlign()->value()) : 0);
  out.str(f.hasGC() ? StringRef(f.getGC()) : StringRef());
  out.str(f.getSection());
  out.str(f.hasAvailableExternallyLinkage() ? f.getName() : StringRef());
  writeComdat(f);
  for (const Argument &a : f.args()) writeValue(&a);
  writeOperand(f.hasPersonalityFn() ? f.getPersonalityFn() : nullptr);
  writeOperand(f.hasPrefixData() ? f.getPrefixData() : nullptr);
  writeOperand(f.hasPrologueData() ? f.getPrologueData() : nullptr);
  SmallVector<std::pair<unsigned, MDNode *>, 4> list;
  if (f.hasMetadata()) f.getAllMetadata(list);
  writeAttachments(list);

  for (const BasicBlock &bb : f) {
    out.u32(kBlock | bb.getNumber());
    for (const Instruction &i : bb)
      if (!isDebug(i)) writeInstruction(i);
  }
}

void Fingerprints::writeSyncScope(uint8_t id) {
  if (id < syncScopes.size()) out.str(syncScopes[id]);
  else out.u32(id);
}

void Fingerprints::writeInstruction(const Instruction &i) {
  out.u32(i.getOpcode() | i.getRawSubclassOptionalData() << 16);
  out.hash(type(i.getType()));
  if (!i.getType()->isVoidTy()) writeValue(&i);
  if (auto *s = dyn_cast<SwitchInst>(&i)) { // its case values are no operands
    out.u32(s->getNumCases());
    writeOperand(s->getCondition());
    writeOperand(s->getDefaultDest());
    for (auto c : s->cases()) {
      writeOperand(c.getCaseValue());
      writeOperand(c.getCaseSuccessor());
    }
  } else {
    out.u32(i.getNumOperands());
    for (const Use &u : i.operands()) writeOperand(u);
  }

  switch (i.getOpcode()) {
  case Instruction::Alloca: {
    auto &a = cast<AllocaInst>(i);
    out.hash(type(a.getAllocatedType()));
    out.u64(a.getAlign().value());
    out.u32(uint32_t(a.isUsedWithInAlloca()) | uint32_t(a.isSwiftError()) << 1);
    break;
  }
  case Instruction::Load: {
    auto &l = cast<LoadInst>(i);
    out.u64(l.getAlign().value());
    out.u32(uint32_t(l.isVolatile()) | uint32_t(l.getOrdering()) << 1);
    if (l.isAtomic()) writeSyncScope(l.getSyncScopeID());
    break;
  }
  case Instruction::Store: {
    auto &s = cast<StoreInst>(i);
    out.u64(s.getAlign().value());
    out.u32(uint32_t(s.isVolatile()) | uint32_t(s.getOrdering()) << 1);
    if (s.isAtomic()) writeSyncScope(s.getSyncScopeID());
    break;
  }
  case Instruction::Fence:
    out.u32(uint32_t(cast<FenceInst>(i).getOrdering()));
    writeSyncScope(cast<FenceInst>(i).getSyncScopeID());
    break;
  case Instruction::AtomicCmpXchg: {
    auto &c = cast<AtomicCmpXchgInst>(i);
    out.u64(c.getAlign().value());
    out.u32(uint32_t(c.isVolatile()) | uint32_t(c.isWeak()) << 1 | uint32_t(c.getSuccessOrdering()) << 4 |
            uint32_t(c.getFailureOrdering()) << 8);
    writeSyncScope(c.getSyncScopeID());
    break;
  }
  case Instruction::AtomicRMW: {
    auto &a = cast<AtomicRMWInst>(i);
    out.u64(a.getAlign().value());
    out.u32(uint32_t(a.isVolatile()) | uint32_t(a.getOrdering()) << 4 | uint32_t(a.getOperation()) << 8);
    writeSyncScope(a.getSyncScopeID());
    break;
  }
  case Instruction::GetElementPtr: out.hash(type(cast<GetElementPtrInst>(i).getSourceElementType())); break;
  case Instruction::ICmp:
  case Instruction::FCmp: out.u32(cast<CmpInst>(i).getPredicate()); break;
  case Instruction::PHI:
    for (const BasicBlock *bb : cast<PHINode>(i).blocks()) out.u32(kBlock | bb->getNumber());
    break;
  case Instruction::ExtractValue:
    for (unsigned n : cast<ExtractValueInst>(i).indices()) out.u32(n);
    break;
  case Instruction::InsertValue:
    for (unsigned n : cast<InsertValueInst>(i).indices()) out.u32(n);
    break;
  case Instruction::ShuffleVector: // as many as the type has elements
    for (int n : cast<ShuffleVectorInst>(i).getShuffleMask()) out.u32(uint32_t(n));
    break;
  case Instruction::LandingPad:
    out.u32(cast<LandingPadInst>(i).isCleanup());
    for (unsigned n = 0; n < cast<LandingPadInst>(i).getNumClauses(); n++) out.u32(cast<LandingPadInst>(i).isCatch(n));
    break;
  case Instruction::CatchSwitch: out.u32(cast<CatchSwitchInst>(i).hasUnwindDest()); break;
  case Instruction::CleanupRet: out.u32(cast<CleanupReturnInst>(i).hasUnwindDest()); break;
  case Instruction::Call:
  case Instruction::Invoke:
  case Instruction::CallBr: writeCall(cast<CallBase>(i)); break;
  }

  if (i.hasMetadataOtherThanDebugLoc()) {
    SmallVector<std::pair<unsigned, MDNode *>, 4> list;
    i.getAllMetadataOtherThanDebugLoc(list);
    writeAttachments(list);
  } else {
    out.u32(0);
  }
}

void Fingerprints::writeCall(const CallBase &c) {
  out.hash(type(c.getFunctionType()));
  out.hash(attributeList(c.getAttributes()));
  uint32_t how = c.getCallingConv();
  if (auto *call = dyn_cast<CallInst>(&c)) how |= uint32_t(call->getTailCallKind()) << 16;
  if (auto *br = dyn_cast<CallBrInst>(&c)) how |= br->getNumIndirectDests() << 16;
  out.u32(how);
  out.u32(c.getNumOperandBundles());
  for (auto &b : c.bundle_op_infos()) {
    out.str(b.Tag->getKey());
    out.u32(b.Begin);
    out.u32(b.End);
  }
}

// --- operands ---

// Values are numbered as they appear, be it in an operand before their place.
void Fingerprints::writeValue(const Value *v) {
  auto [number, fresh] = numbers.number(v, values);
  values += fresh;
  out.u32(kValue | number);
}

void Fingerprints::writeOperand(const Value *v) {
  if (!v) return out.u32(kNothing);
  if (isa<Instruction>(v) || isa<Argument>(v)) {
    writeValue(v);
  } else if (auto *bb = dyn_cast<BasicBlock>(v)) {
    out.u32(kBlock | bb->getNumber());
  } else if (auto *g = dyn_cast<GlobalValue>(v)) {
    bool content = isContent(*g), folded = !content && isFoldable(*g);
    if (!content && !folded) {
      out.u32(kNamed);
      out.hash(reference(*g));
      return;
    }
    auto *object = cast<GlobalObject>(g);
    auto [number, fresh] = numbers.number(g, uint32_t(current->edges.size()));
    if (fresh) current->edges.push_back({object, folded});
    out.u32((folded ? kFolded : kContent) | number);
    if (folded) out.hash(reference(*g));
  } else if (auto *c = dyn_cast<Constant>(v)) {
    writeConstant(c);
  } else if (auto *md = dyn_cast<MetadataAsValue>(v)) {
    out.u32(kMetadata);
    writeMetadata(md->getMetadata());
  } else if (auto *a = dyn_cast<InlineAsm>(v)) {
    out.u32(kAsm | uint32_t(a->hasSideEffects()) | uint32_t(a->isAlignStack()) << 1 | uint32_t(a->canThrow()) << 2 |
            uint32_t(a->getDialect()) << 3);
    out.hash(type(a->getFunctionType()));
    out.str(a->getAsmString());
    out.str(a->getConstraintString());
  } else {
    llvm_unreachable("a value of an unknown kind");
  }
}

void Fingerprints::writeConstant(const Constant *c) {
  Known k = constant(c);
  out.u32(kConstant | uint32_t(k.closed));
  if (k.closed) return out.hash(k.hash);
  constantHead(out, c);
  for (const Use &u : c->operands()) writeOperand(u);
}

bool Fingerprints::isContent(const GlobalValue &g) {
  if (auto *f = dyn_cast<Function>(&g)) return isInlineHelper(*f);
  auto *v = dyn_cast<GlobalVariable>(&g);
  if (!v || !v->hasLocalLinkage()) return false;
  auto [it, fresh] = usersConstants.try_emplace(v);
  if (fresh) it->second = isUsersConstant(*v) || isLabelTable(*v);
  return it->second;
}

bool Fingerprints::isFoldable(const GlobalValue &g) {
  auto *v = dyn_cast<GlobalVariable>(&g);
  return v && v->isConstant() && v->hasDefinitiveInitializer();
}

// A global as its users see it without its body.
Hash Fingerprints::reference(const GlobalValue &g) {
  auto it = references.find(&g);
  if (it != references.end()) return it->second;
  Bytes b;
  auto *f = dyn_cast<Function>(&g);
  auto *v = dyn_cast<GlobalVariable>(&g);
  // The names of intrinsics hold those of types.
  if (f && f->isIntrinsic()) b.u64(f->getIntrinsicID());
  else b.str(g.getName());
  b.u32(g.getValueID());
  b.hash(type(g.getValueType()));
  b.u32(uint32_t(g.getThreadLocalMode()) | uint32_t(g.hasExternalWeakLinkage()) << 4 | uint32_t(g.isDSOLocal()) << 5 |
        uint32_t(g.hasGlobalUnnamedAddr()) << 6 | uint32_t(g.getVisibility()) << 8);
  b.u32(g.getAddressSpace());
  if (f) {
    b.u32(f->getCallingConv());
    b.u64(f->getAlign() ? f->getAlign()->value() : 0);
    b.hash(visibleAttributes(*f));
  }
  if (v) {
    b.u32(uint32_t(v->isConstant()) | uint32_t(v->isExternallyInitialized()) << 1 | uint32_t(v->isStrongDefinitionForLinker()) << 2);
    b.u64(v->getAlign() ? v->getAlign()->value() : 0);
    b.u32(v->getCodeModel() ? uint32_t(*v->getCodeModel()) + 1 : 0);
    b.str(v->getSection());
    if (auto *range = dyn_cast_or_null<MDTuple>(v->getMetadata(LLVMContext::MD_absolute_symbol))) b.hash(tuple(range).hash);
  }
  return references[&g] = b.hash128();
}

} // namespace lj
