// statepoints.cpp: calls of functions with garbage collection become statepoints, so that stack maps say where their pointers into the heap are.
//
// LLVM's pass does the work (LLVM 22, "Garbage Collection Safepoints in LLVM", RewriteStatepointsForGC). It sees pointers of address space 1 that are values of
// their own. What it does not see, and only asserts about in builds with assertions, is refused here: pointers in stack objects and inside of
// first-class structs that live over a call.
#include "statepoints.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/GCStrategy.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Statepoint.h"
#include "llvm/Transforms/Scalar/RewriteStatepointsForGC.h"
#include "llvm/Transforms/Utils/Mem2Reg.h"

using namespace llvm;

namespace lj {
namespace {

constexpr unsigned heap = 1; // the address space of collected objects

bool isPointer(Type *t) {
  auto *p = dyn_cast<PointerType>(t->getScalarType());
  return p && p->getAddressSpace() == heap;
}

bool holdsPointer(Type *t) {
  if (auto *a = dyn_cast<ArrayType>(t)) return holdsPointer(a->getElementType());
  if (auto *s = dyn_cast<StructType>(t)) return any_of(s->elements(), holdsPointer);
  return isPointer(t);
}

// Whether the collector may run in a call.
bool mayCollect(const Instruction &i) {
  auto *call = dyn_cast<CallBase>(&i);
  if (!call || call->isInlineAsm() || call->hasFnAttr("gc-leaf-function")) return false;
  if (isa<GCStatepointInst>(call)) return true;
  auto *f = call->getCalledFunction();
  return !f || (!f->isIntrinsic() && !f->hasFnAttribute("gc-leaf-function"));
}

// Whether a value of struct or array type is used without a call in between, in the block where it is made.
bool isUsedAtOnce(const Value &v, const Use &use) {
  auto *user = cast<Instruction>(use.getUser());
  auto *made = dyn_cast<Instruction>(&v);
  const BasicBlock *block = made ? made->getParent() : &user->getFunction()->getEntryBlock();
  if (isa<PHINode>(user)) return false;
  if (auto *invoke = dyn_cast_or_null<InvokeInst>(made)) // its value begins to live in the normal destination
    block = invoke->getNormalDest();
  if (user->getParent() != block) return false;
  auto at = made && !made->isTerminator() && !isa<PHINode>(made) ? std::next(made->getIterator()) : block->begin();
  for (; &*at != user; ++at)
    if (mayCollect(*at)) return false;
  return true;
}

// The pass takes what it knows as a C library function for a leaf; but some call back (qsort), and a function of a collected language may have such a name.
// It makes of a call that must be a tail call one that is none; but that leaves no frame in which a pointer could be.
void markCalls(Function &f) {
  for (Instruction &i : instructions(f)) {
    auto *call = dyn_cast<CallBase>(&i);
    if (!call || !mayCollect(*call)) continue;
    call->addFnAttr(Attribute::NoBuiltin);
    if (call->isMustTailCall()) call->addFnAttr(Attribute::get(f.getContext(), "gc-leaf-function"));
  }
}

class Checker {
  lj_ctx *ctx;
  Function &f;

  void refuse(const Twine &what) { complain(ctx, LJ_CODEGEN, "in function " + f.getName() + ": " + what + ", where the collector does not find them"); }

  bool aggregate(const Value &v) {
    if (!v.getType()->isAggregateType() || !holdsPointer(v.getType())) return true;
    for (const Use &u : v.uses())
      if (isa<Instruction>(u.getUser()) && !isUsedAtOnce(v, u)) {
        refuse("pointers of address space 1 are inside of a struct or array value that is used after a call or in another block");
        return false;
      }
    return true;
  }

public:
  Checker(lj_ctx *c, Function &f) : ctx(c), f(f) {}

  // One error for each function will do.
  void run() {
    for (const Argument &a : f.args())
      if (!aggregate(a)) return;
    for (Instruction &i : instructions(f)) {
      if (!aggregate(i)) return;
      const Value *place = nullptr;
      if (auto *a = dyn_cast<AllocaInst>(&i)) {
        if (holdsPointer(a->getAllocatedType())) place = a;
      } else if (auto *s = dyn_cast<StoreInst>(&i)) {
        if (holdsPointer(s->getValueOperand()->getType())) place = getUnderlyingObject(s->getPointerOperand());
      }
      if (isa_and_nonnull<AllocaInst>(place)) return refuse("pointers of address space 1 are in a stack object");
    }
  }
};

} // namespace

bool isCollected(const Function &f) {
  return f.hasGC() && !f.isDeclaration() && (f.getGC() == "statepoint-example" || f.getGC() == "coreclr");
}

bool hasCollected(const Module &m) {
  return any_of(m, isCollected);
}

void protectPointers(Module &m) {
  m.setDataLayout(host().layout.getStringRepresentation() + "-ni:" + std::to_string(heap));
}

void rewriteStatepoints(lj_ctx *c, Module &m, ModuleAnalysisManager &modules, FunctionAnalysisManager &functions) {
  for (Function &f : m) {
    if (!isCollected(f)) continue;
    PreservedAnalyses kept = PromotePass().run(f, functions); // at level 0 variables are still stack objects
    functions.invalidate(f, kept);
    Checker(c, f).run();
    markCalls(f);
  }
  RewriteStatepointsForGC().run(m, modules);
  m.setDataLayout(host().layout);
}

} // namespace lj
