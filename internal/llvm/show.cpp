// show.cpp: has a function show the value of its last instruction, and keep those that have names.
#include "state.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

// The last return without a value that somebody wrote nothing behind: in the last block that has one.
ReturnInst *lastReturn(Function &f) {
  for (BasicBlock &b : llvm::reverse(f))
    if (auto *ret = dyn_cast_or_null<ReturnInst>(b.getTerminator())) return ret;
  return nullptr;
}

std::string typeText(Type *t) {
  std::string text;
  raw_string_ostream os(text);
  t->print(os, false, true);
  return text;
}

} // namespace

extern "C" lj_result lj_show_last(lj_mod *m, const char *function, size_t functionLen, const char *show, size_t showLen) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    Function *f = m->module->getFunction(StringRef(function, functionLen));
    ReturnInst *ret = f ? lastReturn(*f) : nullptr;
    if (!ret) {
      r.kind = lj::complain(m->ctx, LJ_NOT_FOUND, "no function " + StringRef(function, functionLen) + " that returns");
      return;
    }
    Instruction *last = ret->getPrevNode();
    if (!last || !last->getType()->isSized()) return;
    Type *type = last->getType();
    r.bytes = lj::copyBytes(typeText(type));
    // The result of this declaration tells the size and the members.
    Function::Create(FunctionType::get(type, false), GlobalValue::ExternalLinkage, "livejit.last", *m->module);
    IRBuilder<> b(ret);
    Value *v = last;
    if (auto *i = dyn_cast<IntegerType>(type); i && i->getBitWidth() > 1 && i->getBitWidth() < 64)
      v = b.CreateSExt(v, b.getIntNTy(unsigned(PowerOf2Ceil(std::max(i->getBitWidth(), 8u)))));
    IRBuilder<> entry(&*f->getEntryBlock().getFirstInsertionPt());
    Value *place = entry.CreateAlloca(v->getType());
    b.CreateStore(v, place);
    b.CreateCall(m->module->getOrInsertFunction(StringRef(show, showLen), b.getVoidTy(), b.getPtrTy()), {place});
  });
}

extern "C" lj_result lj_keep_values(lj_mod *m, const char *function, size_t functionLen, const char *suffix, size_t suffixLen) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    Function *f = m->module->getFunction(StringRef(function, functionLen));
    ReturnInst *ret = f ? lastReturn(*f) : nullptr;
    if (!ret) {
      r.kind = lj::complain(m->ctx, LJ_NOT_FOUND, "no function " + StringRef(function, functionLen) + " that returns");
      return;
    }
    DominatorTree tree(*f);
    std::string list;
    IRBuilder<> b(ret);
    for (BasicBlock &block : *f)
      for (Instruction &i : block) {
        Type *type = i.getType();
        if (!i.hasName() || !type->isSized() || isa<ScalableVectorType>(type) || !tree.dominates(&i, ret)) continue;
        if (type->isPointerTy() && isa<AllocaInst>(getUnderlyingObject(&i, 0))) continue; // its frame goes
        std::string symbol = ("%" + i.getName() + StringRef(suffix, suffixLen)).str();
        auto *kept = new GlobalVariable(*m->module, type, false, GlobalValue::ExternalLinkage, Constant::getNullValue(type), symbol);
        b.CreateStore(&i, kept);
        list += i.getName().str() + '\0' + symbol + '\0' + typeText(type) + '\0';
      }
    r.bytes = lj::copyBytes(list);
  });
}
