// patchpoint.h: gives every llvm.experimental.patchpoint the one form that the linker can redirect.
#ifndef LIVEJIT_LLVM_PATCHPOINT_H
#define LIVEJIT_LLVM_PATCHPOINT_H

#include "state.h"

namespace lj {

// Makes every patchpoint of m call a constant in 13 bytes, whatever it has reserved; a null target becomes
// LJ_PATCHPOINT_NONE. One with a null target that reserves nothing is left alone: it only records where values are.
// Complains of targets that are no constants, for which LLVM emits no call at all. For x86-64; does nothing elsewhere.
int32_t preparePatchpoints(lj_ctx *c, llvm::Module &m);

} // namespace lj

#endif
