// lines.cpp: the debug info of a function as a hash: where each instruction comes from, which variable is where.
#include "fingerprint.h"

#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/DebugProgramInstruction.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"

using namespace llvm;

namespace lj {

// The content of a scope, location, variable or type, of types only what names them. 0 for nothing.
uint64_t Fingerprints::place(const MDNode *n) {
  if (!n) return 0;
  auto it = places.find(n);
  if (it != places.end()) return it->second;
  places[n] = 1; // types can lead back to themselves
  Bytes b;
  b.u32(n->getMetadataID());
  if (auto *l = dyn_cast<DILocation>(n)) {
    b.u32(l->getLine());
    b.u32(l->getColumn());
    b.u64(place(l->getScope()));
    b.u64(place(l->getInlinedAt()));
  } else if (auto *s = dyn_cast<DISubprogram>(n)) {
    b.u32(s->getLine());
    b.u32(s->getScopeLine());
    b.str(s->getName());
    b.str(s->getLinkageName());
    b.u64(place(s->getFile()));
  } else if (auto *block = dyn_cast<DILexicalBlock>(n)) {
    b.u32(block->getLine());
    b.u32(block->getColumn());
    b.u64(place(block->getScope()));
    b.u64(place(block->getFile()));
  } else if (auto *block = dyn_cast<DILexicalBlockFile>(n)) {
    b.u32(block->getDiscriminator());
    b.u64(place(block->getScope()));
    b.u64(place(block->getFile()));
  } else if (auto *f = dyn_cast<DIFile>(n)) {
    b.str(f->getFilename());
    b.str(f->getDirectory());
  } else if (auto *v = dyn_cast<DILocalVariable>(n)) {
    b.str(v->getName());
    b.u32(v->getLine());
    b.u32(v->getArg());
    b.u32(v->getFlags());
    b.u64(place(v->getType()));
    b.u64(place(v->getScope()));
  } else if (auto *label = dyn_cast<DILabel>(n)) {
    b.str(label->getName());
    b.u32(label->getLine());
  } else if (auto *e = dyn_cast<DIExpression>(n)) {
    for (uint64_t x : e->getElements()) b.u64(x);
  } else if (auto *t = dyn_cast<DIType>(n)) {
    b.u32(t->getTag());
    b.str(t->getName());
    b.u64(t->getSizeInBits());
    if (auto *d = dyn_cast<DIDerivedType>(t)) b.u64(place(d->getBaseType()));
  }
  return places[n] = b.hash64();
}

// Called when f has been written: its values have their numbers.
uint64_t Fingerprints::hashLines(const Function &f) {
  out.clear();
  out.u64(place(f.getSubprogram()));
  for (const BasicBlock &bb : f) {
    for (const Instruction &i : bb) {
      for (const DbgRecord &r : i.getDbgRecordRange()) {
        out.u32(uint32_t(r.getRecordKind()) + 1);
        out.u64(place(r.getDebugLoc().get()));
        if (auto *label = dyn_cast<DbgLabelRecord>(&r)) {
          out.u64(place(label->getLabel()));
          continue;
        }
        auto &v = cast<DbgVariableRecord>(r);
        out.u32(uint32_t(v.getType()));
        out.u64(place(v.getVariable()));
        out.u64(place(v.getExpression()));
        for (const Value *at : v.location_ops()) {
          bool local = at && (isa<Instruction>(at) || isa<Argument>(at));
          out.u32(local ? numbers.number(at, 0).first : ~0u);
        }
      }
      out.u64(place(i.getDebugLoc().get()));
    }
  }
  uint64_t h = out.hash64();
  return h ? h : 1;
}

} // namespace lj
