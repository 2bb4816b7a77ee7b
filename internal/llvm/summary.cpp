// summary.cpp: the summary of a module as one buffer, types and signatures interned. summary_decode.go reads it.
//
//   u32 types, u32 signatures, u32 globals, u32 has module asm, constructors, destructors, layouts (layouts.h)
//   constructors, destructors: u32 n, n x (u32 priority, str function)
//   type:      u32 kind (type.go), u32 bits, u64 count, u64 size, u32 align, u32 n, n x u32 type, str text
//   signature: u32 type of result, u32 result attributes, u32 variadic, u32 calling convention, u32 n,
//              n x (u32 type, u32 attributes, u32 align, u32 pointee type + 1 or 0), str text
//   global:    u32 kind (summary.go), u32 linkage, u32 visibility, u32 flags, u32 type, u32 signature + 1 or 0, u32 align,
//              u64 size, i64 offset in aliasee, 16 bytes code, 16 bytes init, u64 lines, u32 set of aggregates + 1 or 0,
//              str name, str comdat, str section, str aliasee, str debug type
// A type comes after its elements. Strings are u32 length and bytes.
#include "summary.h"
#include "fingerprint.h"
#include "layouts.h"
#include "statepoints.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/IR/Attributes.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalIFunc.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;

namespace lj {
namespace {

// The numbers of type.go.
enum Kind : uint32_t {
  kVoid, kInt, kHalf, kBFloat, kFloat, kDouble, kX86FP80, kFP128, kPPCFP128, kPointer, kVector, kScalableVector, kArray,
  kStruct, kPackedStruct, kToken, kMetadata, kOther,
};

enum Flags : uint32_t { fLocal = 1, fDefined = 2, fThreadLocal = 4, fConstant = 8, fAlwaysInline = 16, fUnnamedAddr = 32, fCollected = 64 };

Kind kindOf(Type *t) {
  switch (t->getTypeID()) {
  case Type::VoidTyID: return kVoid;
  case Type::IntegerTyID: return kInt;
  case Type::HalfTyID: return kHalf;
  case Type::BFloatTyID: return kBFloat;
  case Type::FloatTyID: return kFloat;
  case Type::DoubleTyID: return kDouble;
  case Type::X86_FP80TyID: return kX86FP80;
  case Type::FP128TyID: return kFP128;
  case Type::PPC_FP128TyID: return kPPCFP128;
  case Type::PointerTyID: return kPointer;
  case Type::FixedVectorTyID: return kVector;
  case Type::ScalableVectorTyID: return kScalableVector;
  case Type::ArrayTyID: return kArray;
  case Type::StructTyID:
    if (cast<StructType>(t)->isOpaque()) return kOther;
    return cast<StructType>(t)->isPacked() ? kPackedStruct : kStruct;
  case Type::TokenTyID: return kToken;
  case Type::MetadataTyID: return kMetadata;
  default: return kOther;
  }
}

// Texts beyond this are cut and end in a digest, or nested structs would make them grow without bound.
constexpr size_t maxText = 2000;

uint32_t alignOf(const GlobalValue *v) {
  MaybeAlign a;
  if (auto *f = dyn_cast<Function>(v)) a = f->getAlign();
  if (auto *g = dyn_cast<GlobalVariable>(v)) a = g->getAlign();
  return a ? uint32_t(a->value()) : 0;
}

struct Summarizer {
  const DataLayout &layout;
  Fingerprints fingerprints;
  Layouts layouts;
  Writer types, signatures, globals;
  std::vector<std::string> texts; // of types, by number
  DenseMap<Type *, uint32_t> typeNumber;
  DenseMap<std::pair<FunctionType *, std::pair<void *, unsigned>>, uint32_t> signatureNumber;

  explicit Summarizer(Module &m) : layout(m.getDataLayout()), fingerprints(m) {}

  std::string textOf(Type *t, ArrayRef<uint32_t> elems) {
    std::string s;
    raw_string_ostream os(s);
    switch (kindOf(t)) {
    case kVector: os << "<" << cast<FixedVectorType>(t)->getNumElements() << " x " << texts[elems[0]] << ">"; break;
    case kScalableVector:
      os << "<vscale x " << cast<ScalableVectorType>(t)->getMinNumElements() << " x " << texts[elems[0]] << ">";
      break;
    case kArray: os << "[" << cast<ArrayType>(t)->getNumElements() << " x " << texts[elems[0]] << "]"; break;
    case kStruct:
    case kPackedStruct: {
      bool packed = cast<StructType>(t)->isPacked();
      os << (packed ? "<{" : "{");
      for (size_t i = 0; i < elems.size(); i++) os << (i ? ", " : " ") << texts[elems[i]];
      os << (elems.empty() ? "}" : " }") << (packed ? ">" : "");
      break;
    }
    default: t->print(os, false, true); break;
    }
    if (s.size() > maxText) {
      uint64_t digest = xxh3_64bits(s);
      s.resize(maxText);
      os << "...#" << Twine::utohexstr(digest);
    }
    return s;
  }

  uint32_t type(Type *t) {
    auto it = typeNumber.find(t);
    if (it != typeNumber.end()) return it->second;
    SmallVector<uint32_t, 8> elems;
    uint64_t count = 0;
    uint32_t bits = 0;
    Kind k = kindOf(t);
    if (k == kStruct || k == kPackedStruct) {
      for (Type *e : cast<StructType>(t)->elements()) elems.push_back(type(e));
    } else if (auto *a = dyn_cast<ArrayType>(t)) {
      elems.push_back(type(a->getElementType()));
      count = a->getNumElements();
    } else if (auto *v = dyn_cast<VectorType>(t)) {
      elems.push_back(type(v->getElementType()));
      count = v->getElementCount().getKnownMinValue();
    } else if (k == kInt) {
      bits = t->getIntegerBitWidth();
    } else if (k == kPointer) {
      bits = t->getPointerAddressSpace();
    }
    uint32_t n = uint32_t(texts.size());
    bool sized = t->isSized();
    types.u32(k);
    types.u32(bits);
    types.u64(count);
    types.u64(sized ? layout.getTypeAllocSize(t).getKnownMinValue() : 0);
    types.u32(sized ? uint32_t(layout.getABITypeAlign(t).value()) : 0);
    types.u32(uint32_t(elems.size()));
    for (uint32_t e : elems) types.u32(e);
    texts.push_back(textOf(t, elems));
    types.str(texts.back());
    typeNumber[t] = n;
    return n;
  }

  // The attributes of shim numbering (type.go, ABIAttr) in a set; pointee gets the type of sret, byval, byref, inalloca.
  static uint32_t abiAttributes(AttributeSet a, Type *&pointee) {
    static const struct {
      Attribute::AttrKind kind;
      bool typed;
    } table[] = {
        {Attribute::StructRet, true}, {Attribute::ByVal, true}, {Attribute::ByRef, true}, {Attribute::InAlloca, true},
        {Attribute::Preallocated, true}, {Attribute::ZExt, false}, {Attribute::SExt, false}, {Attribute::InReg, false},
        {Attribute::Nest, false}, {Attribute::SwiftSelf, false}, {Attribute::SwiftError, false}, {Attribute::SwiftAsync, false},
    };
    uint32_t bits = 0;
    for (size_t i = 0; i < std::size(table); i++) {
      if (!a.hasAttribute(table[i].kind)) continue;
      bits |= 1u << i;
      if (table[i].typed) pointee = a.getAttribute(table[i].kind).getValueAsType();
    }
    return bits;
  }

  void attributeText(raw_ostream &os, uint32_t bits, Type *pointee, uint32_t align) {
    static const char *const names[] = {"sret", "byval", "byref", "inalloca", "preallocated", "zeroext", "signext",
                                        "inreg", "nest", "swiftself", "swifterror", "swiftasync"};
    for (size_t i = 0; i < std::size(names); i++) {
      if (!(bits & 1u << i)) continue;
      os << " " << names[i];
      if (i < 5 && pointee) os << "(" << texts[type(pointee)] << ")";
    }
    if (align) os << " align " << align;
  }

  uint32_t signature(FunctionType *ft, AttributeList attrs, unsigned cc) {
    auto key = std::make_pair(ft, std::make_pair(attrs.getRawPointer(), cc));
    auto it = signatureNumber.find(key);
    if (it != signatureNumber.end()) return it->second;
    uint32_t n = uint32_t(signatureNumber.size());
    signatureNumber[key] = n;

    std::string text;
    raw_string_ostream os(text);
    if (cc) os << "cc " << cc << " ";
    Type *pointee = nullptr;
    uint32_t ret = type(ft->getReturnType());
    uint32_t retBits = abiAttributes(attrs.getRetAttrs(), pointee);
    struct Param {
      uint32_t type, bits, align, pointee;
    };
    SmallVector<Param, 8> params;
    os << texts[ret];
    attributeText(os, retBits, nullptr, 0);
    os << " (";
    for (unsigned i = 0; i < ft->getNumParams(); i++) {
      pointee = nullptr;
      AttributeSet a = attrs.getParamAttrs(i);
      Param p{type(ft->getParamType(i)), abiAttributes(a, pointee), 0, 0};
      if (pointee) p.pointee = type(pointee) + 1;
      // The alignment of an argument matters to the ABI only where the argument is memory.
      if (a.hasAttribute(Attribute::ByVal)) p.align = uint32_t(a.getAlignment().valueOrOne().value());
      os << (i ? ", " : "") << texts[p.type];
      attributeText(os, p.bits, pointee, p.align);
      params.push_back(p);
    }
    if (ft->isVarArg()) os << (params.empty() ? "..." : ", ...");
    os << ")";

    signatures.u32(ret);
    signatures.u32(retBits);
    signatures.u32(ft->isVarArg());
    signatures.u32(cc);
    signatures.u32(uint32_t(params.size()));
    for (auto &p : params) {
      signatures.u32(p.type);
      signatures.u32(p.bits);
      signatures.u32(p.align);
      signatures.u32(p.pointee);
    }
    signatures.str(text);
    return n;
  }

  // The signature of a function, of what an alias stands for or of an ifunc; 0 if there is none.
  uint32_t signaturePlus1(GlobalValue *v) {
    if (auto *f = dyn_cast<Function>(v)) return signature(f->getFunctionType(), f->getAttributes(), f->getCallingConv()) + 1;
    if (auto *a = dyn_cast<GlobalAlias>(v))
      if (auto *f = dyn_cast_or_null<Function>(a->getAliaseeObject())) return signaturePlus1(f);
    if (auto *t = dyn_cast<FunctionType>(v->getValueType())) return signature(t, AttributeList(), 0) + 1;
    return 0;
  }

  void global(const Original &o) {
    GlobalValue *v = o.value;
    uint32_t kind = isa<Function>(v) ? 0 : isa<GlobalVariable>(v) ? 1 : isa<GlobalAlias>(v) ? 2 : 3;
    uint32_t flags = (o.local ? fLocal : 0) | (o.defined ? fDefined : 0) | (v->isThreadLocal() ? fThreadLocal : 0) |
                     (o.alwaysInline ? fAlwaysInline : 0) | (v->hasGlobalUnnamedAddr() ? fUnnamedAddr : 0);
    if (auto *f = dyn_cast<Function>(v))
      if (isCollected(*f)) flags |= fCollected;
    uint64_t size = 0;
    if (auto *g = dyn_cast<GlobalVariable>(v)) {
      if (g->isConstant()) flags |= fConstant;
      if (g->getValueType()->isSized()) size = layout.getTypeAllocSize(g->getValueType());
    }
    StringRef aliasee;
    int64_t offset = 0;
    if (auto *a = dyn_cast<GlobalAlias>(v)) {
      if (auto *base = a->getAliaseeObject()) aliasee = base->getName();
      APInt off(layout.getIndexTypeSizeInBits(a->getType()), 0);
      a->getAliasee()->stripAndAccumulateConstantOffsets(layout, off, true);
      offset = off.getSExtValue();
    } else if (auto *i = dyn_cast<GlobalIFunc>(v)) {
      if (auto *r = i->getResolverFunction()) aliasee = r->getName();
    }
    auto *object = dyn_cast<GlobalObject>(v);
    globals.u32(kind);
    globals.u32(uint32_t(o.linkage));
    globals.u32(uint32_t(o.visibility));
    globals.u32(flags);
    globals.u32(type(v->getValueType()));
    globals.u32(signaturePlus1(v));
    globals.u32(alignOf(v));
    globals.u64(size);
    globals.u64(uint64_t(offset));
    fingerprint(o);
    globals.str(v->getName());
    globals.str(object && object->hasComdat() ? object->getComdat()->getName() : StringRef());
    globals.str(!o.section.empty() || !object ? StringRef(o.section) : object->getSection());
    globals.str(aliasee);
    auto *variable = dyn_cast<GlobalVariable>(v);
    globals.str(variable ? layouts.typeOf(*variable) : StringRef());
  }

  void fingerprint(const Original &o) {
    Hash code, init;
    uint64_t lines = 0;
    auto *variable = dyn_cast<GlobalVariable>(o.value);
    if (o.defined) {
      code = fingerprints.code(*o.value);
      if (variable) init = fingerprints.init(*variable);
      if (auto *f = dyn_cast<Function>(o.value)) lines = fingerprints.lines(*f);
    }
    globals.bytes(&code, sizeof code);
    globals.bytes(&init, sizeof init);
    globals.u64(lines);
    globals.u32(variable ? layouts.setOf(*variable) : 0);
  }
};

// The entries of llvm.global_ctors or llvm.global_dtors. LLVM's verifier has seen to their form; an entry of null ends the list.
void writeEntries(Writer &w, const Module &m, StringRef name) {
  SmallVector<std::pair<uint32_t, StringRef>, 8> entries;
  auto *v = m.getNamedGlobal(name);
  auto *list = v && v->hasInitializer() ? dyn_cast<ConstantArray>(v->getInitializer()) : nullptr;
  for (unsigned i = 0; list && i < list->getNumOperands(); i++) {
    auto *entry = dyn_cast<ConstantStruct>(list->getOperand(i));
    auto *priority = entry ? dyn_cast<ConstantInt>(entry->getOperand(0)) : nullptr;
    auto *function = entry ? dyn_cast<GlobalValue>(entry->getOperand(1)->stripPointerCasts()) : nullptr;
    if (!priority || !function) break;
    entries.push_back({uint32_t(priority->getLimitedValue(65535)), function->getName()});
  }
  w.u32(uint32_t(entries.size()));
  for (auto &e : entries) {
    w.u32(e.first);
    w.str(e.second);
  }
}

} // namespace

void writeSummary(Module &m, const std::vector<Original> &globals, lj_buf &out) {
  Summarizer s(m);
  for (auto &o : globals)
    if (auto *v = dyn_cast<GlobalVariable>(o.value)) s.layouts.add(*v);
  s.layouts.finish();
  for (auto &o : globals) s.global(o);
  Writer w;
  w.u32(uint32_t(s.texts.size()));
  w.u32(uint32_t(s.signatureNumber.size()));
  w.u32(uint32_t(globals.size()));
  w.u32(!m.getModuleInlineAsm().empty());
  writeEntries(w, m, "llvm.global_ctors");
  writeEntries(w, m, "llvm.global_dtors");
  s.layouts.write(w);
  for (Writer *part : {&s.types, &s.signatures, &s.globals}) {
    size_t n = part->size();
    lj_buf b = part->take();
    w.bytes(b.data, n);
    lj_buf_free(b);
  }
  out = w.take();
}

} // namespace lj
