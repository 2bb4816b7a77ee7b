// statepoints.h: what precise garbage collection needs of a pipeline.
#ifndef LIVEJIT_LLVM_STATEPOINTS_H
#define LIVEJIT_LLVM_STATEPOINTS_H

#include "state.h"

#include "llvm/IR/PassManager.h"

namespace lj {

// Whether f's callers and callees may move objects that it holds pointers to: its garbage collection strategy is one whose calls become statepoints.
bool isCollected(const llvm::Function &f);

// Whether a body of m is of that kind.
bool hasCollected(const llvm::Module &m);

// Pointers of address space 1 must not be turned into integers and back by the optimiser: gives m such a layout.
void protectPointers(llvm::Module &m);

// Turns the calls of m's collected functions into statepoints and gives it the host's layout again. The module is optimised. Adds an
// error to c's diagnostics for each pointer into the heap that the stack maps would not show.
void rewriteStatepoints(lj_ctx *c, llvm::Module &m, llvm::ModuleAnalysisManager &modules, llvm::FunctionAnalysisManager &functions);

} // namespace lj

#endif
