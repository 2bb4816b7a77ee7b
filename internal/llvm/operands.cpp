// operands.cpp: what instructions are made of, as hashes: types, attributes, constants, metadata.
#include "fingerprint.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/ConstantRange.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Metadata.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Operator.h"

using namespace llvm;

namespace lj {
namespace {

// What a word of a metadata operand says; a number may be in the upper bits.
enum : uint32_t { kNull = 0, kString = 1, kValue = 2, kLocal = 3, kTuple = 4, kDebug = 5, kNumbered = 6 };

bool isDebug(const Metadata *md) { return md && ((isa<MDNode>(md) && !isa<MDTuple>(md)) || isa<DIArgList>(md)); }

void putInt(Bytes &b, const APInt &v) {
  b.u32(v.getBitWidth());
  b.put(v.getRawData(), v.getNumWords() * sizeof(uint64_t));
}

void putRange(Bytes &b, const ConstantRange &r) {
  putInt(b, r.getLower());
  putInt(b, r.getUpper());
}

} // namespace

// --- types ---

Hash Fingerprints::type(Type *t) {
  return types.get(t, [&] { return makeType(t); });
}

// With opaque pointers no type contains itself.
Hash Fingerprints::makeType(Type *t) {
  Bytes b;
  b.u32(t->getTypeID());
  if (auto *i = dyn_cast<IntegerType>(t)) {
    b.u32(i->getBitWidth());
  } else if (auto *p = dyn_cast<PointerType>(t)) {
    b.u32(p->getAddressSpace());
  } else if (auto *v = dyn_cast<VectorType>(t)) {
    b.u32(v->getElementCount().getKnownMinValue());
    b.hash(type(v->getElementType()));
  } else if (auto *a = dyn_cast<ArrayType>(t)) {
    b.u64(a->getNumElements());
    b.hash(type(a->getElementType()));
  } else if (auto *s = dyn_cast<StructType>(t)) {
    b.u32(uint32_t(s->isPacked()) | uint32_t(s->isOpaque()) << 1);
    for (Type *e : s->elements()) b.hash(type(e));
  } else if (auto *f = dyn_cast<FunctionType>(t)) {
    b.u32(f->isVarArg());
    b.hash(type(f->getReturnType()));
    for (Type *p : f->params()) b.hash(type(p));
  } else if (auto *x = dyn_cast<TargetExtType>(t)) {
    b.str(x->getName());
    b.u32(x->getNumTypeParameters());
    for (Type *p : x->type_params()) b.hash(type(p));
    for (unsigned n : x->int_params()) b.u32(n);
  }
  return b.hash128();
}

// --- attributes ---

Hash Fingerprints::attributeSet(AttributeSet set) {
  auto it = attributeSets.find(set);
  if (it != attributeSets.end()) return it->second;
  Bytes b;
  for (Attribute a : set) { // sorted by kind
    if (a.isStringAttribute()) {
      b.u32(0);
      b.str(a.getKindAsString());
      b.str(a.getValueAsString());
      continue;
    }
    b.u32(a.getKindAsEnum());
    if (a.isIntAttribute()) {
      b.u64(a.getValueAsInt());
    } else if (a.isTypeAttribute()) {
      b.u32(a.getValueAsType() != nullptr);
      if (Type *t = a.getValueAsType()) b.hash(type(t));
    } else if (a.isConstantRangeAttribute()) {
      putRange(b, a.getValueAsConstantRange());
    } else if (a.isConstantRangeListAttribute()) {
      b.u32(uint32_t(a.getValueAsConstantRangeList().size()));
      for (const ConstantRange &r : a.getValueAsConstantRangeList()) putRange(b, r);
    }
  }
  return attributeSets[set] = b.hash128();
}

Hash Fingerprints::attributeList(AttributeList a) {
  return attributes.get(a.getRawPointer(), [&] {
    Bytes b;
    for (unsigned i : a.indexes()) { // as many as the last that has attributes needs
      AttributeSet s = a.getAttributes(i);
      if (!s.hasAttributes()) continue;
      b.u32(i);
      b.hash(attributeSet(s));
    }
    return b.hash128();
  });
}

// The attributes that callers look at. Of a definition some say only how its own body is compiled.
Hash Fingerprints::visibleAttributes(const Function &f) {
  if (f.isDeclaration()) return attributeList(f.getAttributes());
  static const AttributeMask own = [] {
    AttributeMask m;
    for (auto k : {Attribute::NoInline, Attribute::InlineHint, Attribute::OptimizeNone, Attribute::OptimizeForSize, Attribute::MinSize,
                   Attribute::MustProgress, Attribute::UWTable, Attribute::StackProtect, Attribute::StackProtectReq,
                   Attribute::StackProtectStrong})
      m.addAttribute(k);
    for (auto k : {"frame-pointer", "min-legal-vector-width", "stack-protector-buffer-size", "probe-stack", "no-jump-tables", "tune-cpu"})
      m.addAttribute(k);
    return m;
  }();
  AttributeList a = f.getAttributes();
  return visible.get(a.getRawPointer(), [&] { return attributeList(a.removeFnAttributes(f.getContext(), own)); });
}

// --- constants ---

// What a constant is, its operands aside.
void Fingerprints::constantHead(Bytes &b, const Constant *c) {
  b.u32(c->getValueID());
  b.hash(type(c->getType()));
  if (auto *i = dyn_cast<ConstantInt>(c)) {
    putInt(b, i->getValue());
  } else if (auto *f = dyn_cast<ConstantFP>(c)) {
    putInt(b, f->getValueAPF().bitcastToAPInt());
  } else if (auto *d = dyn_cast<ConstantDataSequential>(c)) {
    b.str(d->getRawDataValues());
  } else if (auto *a = dyn_cast<BlockAddress>(c)) {
    b.str(a->getFunction()->getName());
    b.u32(a->getBasicBlock()->getNumber());
  } else if (auto *e = dyn_cast<ConstantExpr>(c)) {
    b.u32(e->getOpcode() | e->getRawSubclassOptionalData() << 16);
    if (auto *g = dyn_cast<GEPOperator>(e)) {
      b.hash(type(g->getSourceElementType()));
      auto range = g->getInRange();
      b.u32(range.has_value());
      if (range) putRange(b, *range);
    } else if (e->getOpcode() == Instruction::ShuffleVector) {
      for (int n : e->getShuffleMask()) b.u32(uint32_t(n));
    }
  }
  b.u32(isa<BlockAddress>(c) ? 0 : c->getNumOperands());
}

Fingerprints::Known Fingerprints::constant(const Constant *c) {
  if (auto *g = dyn_cast<GlobalValue>(c)) {
    if (isContent(*g) || isFoldable(*g)) return {{}, false};
    return {reference(*g), true};
  }
  return constants.get(c, [&] { return makeConstant(c); });
}

Fingerprints::Known Fingerprints::makeConstant(const Constant *c) {
  Known k{{}, true};
  Bytes b;
  constantHead(b, c);
  if (!isa<BlockAddress>(c)) {
    for (const Use &u : c->operands()) {
      Known o = constant(cast<Constant>(u));
      if (!o.closed) {
        k.closed = false;
        break;
      }
      b.hash(o.hash);
    }
  }
  if (k.closed) k.hash = b.hash128();
  return k;
}

// What a constant is as data: functions and named variables in it by name and type.
Hash Fingerprints::datum(const Constant *c) {
  return data.get(c, [&] {
    Bytes b;
    if (auto *g = dyn_cast<GlobalValue>(c)) {
      if (isContent(*g)) return content(*cast<GlobalObject>(g), Shallow);
      b.str(g->getName());
      b.hash(type(g->getValueType()));
      return b.hash128();
    }
    constantHead(b, c);
    if (!isa<BlockAddress>(c))
      for (const Use &u : c->operands()) b.hash(datum(cast<Constant>(u)));
    return b.hash128();
  });
}

// --- metadata ---

// A tuple that by its content is the same everywhere: uniqued, and all it leads to as well, without circles and
// edges. Others are not closed. Iterative, since lists of metadata can be long chains.
Fingerprints::Known Fingerprints::tuple(const MDTuple *root) {
  auto known = tuples.find(root);
  if (known != tuples.end()) return known->second;
  if (root->isDistinct()) return {{}, false};
  struct Frame {
    const MDTuple *tuple;
    unsigned operand;
  };
  std::vector<Frame> path{{root, 0}};
  DenseSet<const MDTuple *> open{root};
  while (!path.empty()) {
    const MDTuple *t = path.back().tuple;
    if (path.back().operand < t->getNumOperands()) {
      auto *o = dyn_cast_or_null<MDTuple>(t->getOperand(path.back().operand++));
      if (o && !o->isDistinct() && !tuples.count(o) && open.insert(o).second) path.push_back({o, 0});
      continue;
    }
    Known k{{}, true};
    Bytes b;
    for (const MDOperand &op : t->operands()) {
      if (isDebug(op)) continue;
      if (!op) {
        b.u32(kNull);
      } else if (auto *s = dyn_cast<MDString>(op)) {
        b.u32(kString);
        b.str(s->getString());
      } else {
        Known o{{}, false};
        uint32_t kind = kTuple;
        if (auto *c = dyn_cast<ConstantAsMetadata>(op)) {
          o = constant(c->getValue());
          kind = kValue;
        } else if (auto *n = dyn_cast<MDTuple>(op); n && !n->isDistinct()) {
          auto it = tuples.find(n);
          if (it != tuples.end()) o = it->second;
        }
        if (!o.closed) {
          k.closed = false;
          break;
        }
        b.u32(kind);
        b.hash(o.hash);
      }
    }
    if (k.closed) k.hash = b.hash128();
    tuples[t] = k;
    open.erase(t);
    path.pop_back();
  }
  return tuples[root];
}

void Fingerprints::writeMetadata(const Metadata *md) {
  if (!md) return out.u32(kNull);
  if (isDebug(md)) return out.u32(kDebug);
  if (auto *s = dyn_cast<MDString>(md)) {
    out.u32(kString);
    out.str(s->getString());
  } else if (auto *v = dyn_cast<ValueAsMetadata>(md)) {
    out.u32(isa<LocalAsMetadata>(md) ? kLocal : kValue);
    writeOperand(v->getValue());
  } else if (auto *t = dyn_cast<MDTuple>(md)) {
    Known k = tuple(t);
    if (k.closed) {
      out.u32(kTuple);
      out.hash(k.hash);
      return;
    }
    auto [number, fresh] = numbers.number(t, uint32_t(pending.size()));
    if (fresh) pending.push_back(t);
    out.u32(kNumbered | number << 4);
  }
}

void Fingerprints::writeNode(const MDNode *n) {
  uint32_t count = 0;
  for (const MDOperand &op : n->operands()) count += !isDebug(op);
  out.u32(count << 1 | n->isDistinct());
  for (const MDOperand &op : n->operands())
    if (!isDebug(op)) writeMetadata(op);
}

// Attachments by the names of their kinds, since their numbers differ between contexts.
void Fingerprints::writeAttachments(SmallVectorImpl<std::pair<unsigned, MDNode *>> &list) {
  erase_if(list, [&](auto &a) {
    StringRef kind = metadataKinds[a.first];
    return a.first == LLVMContext::MD_dbg || a.first == LLVMContext::MD_DIAssignID || kind == "srcloc" || kind == "heapallocsite";
  });
  if (list.size() > 1)
    stable_sort(list, [&](auto &a, auto &b) { return metadataKinds[a.first] < metadataKinds[b.first]; });
  out.u32(uint32_t(list.size()));
  for (auto &[kind, node] : list) {
    out.str(metadataKinds[kind]);
    writeMetadata(node);
  }
}

// --- the module ---

Hash Fingerprints::hashModule() {
  static const StringRef irrelevant[] = {"Debug Info Version", "Dwarf Version", "DWARF64", "CodeView", "CG Profile"};
  std::vector<Hash> flags;
  if (NamedMDNode *all = m.getModuleFlagsMetadata()) {
    for (const MDNode *n : all->operands()) {
      auto *t = dyn_cast<MDTuple>(n);
      auto *key = t && t->getNumOperands() == 3 ? dyn_cast_or_null<MDString>(t->getOperand(1)) : nullptr;
      if (key && !is_contained(irrelevant, key->getString())) flags.push_back(tuple(t).hash);
    }
  }
  std::sort(flags.begin(), flags.end());
  Bytes b;
  b.str(m.getTargetTriple().str());
  b.str(m.getDataLayoutStr());
  for (const Hash &h : flags) b.hash(h);
  return b.hash128();
}

} // namespace lj
