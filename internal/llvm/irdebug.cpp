// irdebug.cpp: debug info that says of a module that its own text is its source.
//
// The text is what LLVM prints of the module; lines are counted while it prints. Line tables then lead from machine code to
// the line of an instruction, whatever passes make of it.
#include "state.h"

#include "llvm/BinaryFormat/Dwarf.h"
#include "llvm/IR/AssemblyAnnotationWriter.h"
#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/ModuleSlotTracker.h"
#include "llvm/Support/FormattedStream.h"

using namespace llvm;

namespace lj {
namespace {

constexpr unsigned indent = 2; // of an instruction in the text

// Notes the line of each instruction, from 1, and where the text of each function begins.
class LineCounter : public AssemblyAnnotationWriter {
public:
  DenseMap<const Instruction *, unsigned> instructions;
  DenseMap<const Function *, unsigned> functions; // the line of a comment, or the function's own

  void emitInstructionAnnot(const Instruction *i, formatted_raw_ostream &os) override { instructions[i] = os.getLine() + 1; }
  void emitFunctionAnnot(const Function *f, formatted_raw_ostream &os) override { functions[f] = os.getLine() + 1; }
};

class Describer {
  Module &m;
  DIBuilder builder;
  DIFile *file;
  ModuleSlotTracker slots;
  DenseMap<Type *, DIType *> types;

public:
  Describer(Module &m, StringRef directory, StringRef name, bool optimized) : m(m), builder(m), slots(&m, false) {
    file = builder.createFile(name, directory);
    // C99 is what debuggers read expressions in; DWARF knows no language of ours.
    builder.createCompileUnit(DISourceLanguageName(dwarf::DW_LANG_C99), file, "livejit", optimized, "", 0, "", DICompileUnit::FullDebug, 0, true, false,
                              DICompileUnit::DebugNameTableKind::None); // no index: nobody looks into it
    this->optimized = optimized;
  }

  void function(Function &f, unsigned line, const LineCounter &lines) {
    SmallVector<Metadata *, 8> signature{type(f.getReturnType())};
    for (Argument &a : f.args()) signature.push_back(type(a.getType()));
    auto flags = DISubprogram::SPFlagDefinition;
    if (optimized) flags |= DISubprogram::SPFlagOptimized;
    DISubprogram *s = builder.createFunction(file, f.getName(), "", file, line,
                                             builder.createSubroutineType(builder.getOrCreateTypeArray(signature)), line,
                                             DINode::FlagPrototyped, flags);
    f.setSubprogram(s);
    slots.incorporateFunction(f);
    SmallVector<Instruction *, 64> list;
    for (BasicBlock &b : f)
      for (Instruction &i : b) list.push_back(&i);
    for (Instruction *i : list) i->setDebugLoc(at(lines.instructions.lookup(i), s));
    arguments(f, line, s);
    for (Instruction *i : list) variable(*i, s);
  }

  void finish() { builder.finalize(); }

private:
  bool optimized;

  DILocation *at(unsigned line, DISubprogram *s) { return DILocation::get(m.getContext(), line, indent + 1, s); }

  // Values have the names of the text without %, which debuggers can read; those that are numbered keep it.
  std::string nameOf(const Value &v) {
    if (v.hasName()) return v.getName().str();
    int slot = slots.getLocalSlot(&v);
    return slot < 0 ? "" : "%" + std::to_string(slot);
  }

  void arguments(Function &f, unsigned line, DISubprogram *s) {
    if (f.empty()) return;
    auto begin = f.getEntryBlock().getFirstInsertionPt();
    for (Argument &a : f.args()) {
      DIType *t = type(a.getType());
      std::string name = nameOf(a);
      if (!t || name.empty()) continue;
      auto *v = builder.createParameterVariable(s, name, a.getArgNo() + 1, file, line, t);
      builder.insertDbgValueIntrinsic(&a, v, builder.createExpression(), at(line, s), begin);
    }
  }

  // The result of an instruction is a variable; that of an alloca is what lies there.
  void variable(Instruction &i, DISubprogram *s) {
    if (i.getType()->isVoidTy() || i.isTerminator()) return;
    std::string name = nameOf(i);
    std::optional<BasicBlock::iterator> after = i.getInsertionPointAfterDef();
    if (name.empty() || !after) return;
    DILocation *l = i.getDebugLoc();
    if (auto *a = dyn_cast<AllocaInst>(&i); a && a->isStaticAlloca()) {
      Type *in = a->getAllocatedType();
      if (DIType *t = memory(in)) {
        if (a->isArrayAllocation()) t = array(in, t, cast<ConstantInt>(a->getArraySize())->getZExtValue());
        builder.insertDeclare(a, builder.createAutoVariable(s, name, file, l->getLine(), t), builder.createExpression(), l, *after);
        return;
      }
    }
    if (DIType *t = type(i.getType()))
      builder.insertDbgValueIntrinsic(&i, builder.createAutoVariable(s, name, file, l->getLine(), t), builder.createExpression(), l, *after);
  }

  // The type of a value in a register; nullptr if debuggers cannot show it, or for void.
  DIType *type(Type *t) {
    auto [it, fresh] = types.try_emplace(t, nullptr);
    return fresh ? types[t] = scalar(t) : it->second;
  }

  DIType *scalar(Type *t) {
    std::string name;
    raw_string_ostream(name) << *t;
    if (auto *i = dyn_cast<IntegerType>(t)) {
      unsigned bits = i->getBitWidth();
      if (bits == 1) return builder.createBasicType(name, 8, dwarf::DW_ATE_boolean);
      return bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128 ? builder.createBasicType(name, bits, dwarf::DW_ATE_signed) : nullptr;
    }
    if (t->isFloatTy() || t->isDoubleTy() || t->isX86_FP80Ty() || t->isFP128Ty())
      return builder.createBasicType(name, m.getDataLayout().getTypeAllocSizeInBits(t), dwarf::DW_ATE_float);
    if (t->isPointerTy() && t->getPointerAddressSpace() == 0)
      return builder.createPointerType(nullptr, m.getDataLayout().getPointerSizeInBits(0));
    return nullptr;
  }

  // The type of something in memory.
  DIType *memory(Type *t) {
    if (!t->isSized() || t->isScalableTy()) return nullptr;
    if (auto *a = dyn_cast<ArrayType>(t)) {
      DIType *element = memory(a->getElementType());
      return element ? array(a->getElementType(), element, a->getNumElements()) : nullptr;
    }
    auto *s = dyn_cast<StructType>(t);
    if (!s) return type(t);
    auto [it, fresh] = types.try_emplace(t, nullptr);
    return fresh ? types[t] = structure(s) : it->second;
  }

  DIType *array(Type *of, DIType *element, uint64_t n) {
    Metadata *range = builder.getOrCreateSubrange(0, int64_t(n));
    return builder.createArrayType(n * m.getDataLayout().getTypeAllocSizeInBits(of), 0, element, builder.getOrCreateArray(range));
  }

  // Fields are called f0, f1 and so on: IR numbers them.
  DIType *structure(StructType *s) {
    const StructLayout *layout = m.getDataLayout().getStructLayout(s);
    SmallVector<Metadata *, 8> fields;
    for (unsigned i = 0; i < s->getNumElements(); i++) {
      Type *e = s->getElementType(i);
      if (DIType *t = memory(e))
        fields.push_back(builder.createMemberType(file, "f" + std::to_string(i), file, 0, m.getDataLayout().getTypeAllocSizeInBits(e).getFixedValue(),
                                                  0, layout->getElementOffsetInBits(i).getFixedValue(), DINode::FlagZero, t));
    }
    return builder.createStructType(file, s->hasName() ? s->getName() : "", file, 0, layout->getSizeInBits().getFixedValue(), 0, DINode::FlagZero,
                                    nullptr, builder.getOrCreateArray(fields));
  }
};

// The line of the head of each function: the first from where its text begins that is no comment.
class Heads {
  SmallVector<size_t, 0> starts; // of lines, from 0

public:
  StringRef text;
  explicit Heads(StringRef text) : text(text) {
    starts.push_back(0);
    for (size_t i = text.find('\n'); i != StringRef::npos; i = text.find('\n', i + 1)) starts.push_back(i + 1);
  }
  unsigned find(unsigned line) const {
    for (unsigned l = line; l <= starts.size(); l++)
      if (text.substr(starts[l - 1]).starts_with("define ")) return l;
    return line;
  }
};

std::string describe(Module &m, StringRef directory, StringRef name, bool optimized) {
  StripDebugInfo(m);
  LineCounter lines;
  std::string text;
  raw_string_ostream os(text);
  m.print(os, &lines);
  m.setModuleFlag(Module::Override, "Debug Info Version", DEBUG_METADATA_VERSION);
  m.setModuleFlag(Module::Override, "Dwarf Version", 5);
  Heads heads(text);
  Describer d(m, directory, name, optimized);
  for (Function &f : m)
    if (!f.isDeclaration()) d.function(f, heads.find(lines.functions.lookup(&f)), lines);
  d.finish();
  return text;
}

} // namespace
} // namespace lj

extern "C" lj_result lj_debug_ir(lj_mod *m, const char *directory, size_t directoryLen, const char *file, size_t fileLen, int optimized) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    r.bytes = lj::copyBytes(lj::describe(*m->module, StringRef(directory, directoryLen), StringRef(file, fileLen), optimized != 0));
  });
}
