// patchpoint.cpp: see patchpoint.h.
//
// LLVM lowers a patchpoint with a constant target to "movabs $target, %r11; call *%r11", 13 bytes, and fills what is reserved beyond with
// nops; if less is reserved, the number of nops wraps around. How much was reserved stands nowhere in the object, so that nobody could tell
// later which nops belong to a patchpoint without a target. (LLVM 22, "Stack maps and patch points in LLVM"; X86AsmPrinter::LowerPATCHPOINT.)
#include "patchpoint.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Intrinsics.h"

using namespace llvm;

namespace lj {

static constexpr unsigned callBytes = 13;

static bool isAddress(const Value *v) {
  if (isa<GlobalValue>(v)) return true;
  auto *e = dyn_cast<ConstantExpr>(v);
  return e && e->getOpcode() == Instruction::IntToPtr && isa<ConstantInt>(e->getOperand(0));
}

int32_t preparePatchpoints(lj_ctx *c, Module &m) {
  if (host().triple.getArch() != Triple::x86_64) return LJ_OK;
  for (Function &f : m) {
    auto id = f.getIntrinsicID();
    if (id != Intrinsic::experimental_patchpoint && id != Intrinsic::experimental_patchpoint_void) continue;
    for (User *u : f.users()) {
      auto *call = dyn_cast<CallBase>(u);
      if (!call) continue;
      auto *bytes = cast<ConstantInt>(call->getArgOperand(1));
      Value *target = call->getArgOperand(2);
      if (isa<ConstantPointerNull>(target)) {
        if (bytes->isZero()) continue;
        auto *none = ConstantInt::get(Type::getInt64Ty(m.getContext()), LJ_PATCHPOINT_NONE);
        call->setArgOperand(2, ConstantExpr::getIntToPtr(none, target->getType()));
      } else if (!isAddress(target)) {
        return complain(c, LJ_UNSUPPORTED, "in function " + call->getFunction()->getName() + ": the target of patchpoint " +
                                               Twine(cast<ConstantInt>(call->getArgOperand(0))->getZExtValue()) +
                                               " is neither null, a function nor a constant address");
      }
      call->setArgOperand(1, ConstantInt::get(bytes->getType(), callBytes));
    }
  }
  return LJ_OK;
}

} // namespace lj
