// summary.h: what Prepare tells Go.
#ifndef LIVEJIT_LLVM_SUMMARY_H
#define LIVEJIT_LLVM_SUMMARY_H

#include "state.h"

namespace lj {

// A global value with what Prepare changed of it.
struct Original {
  llvm::GlobalValue *value;
  llvm::GlobalValue::LinkageTypes linkage;
  llvm::GlobalValue::VisibilityTypes visibility;
  bool local;        // was internal, private or unnamed
  bool defined;      // will be in the object under its name
  bool alwaysInline;
  std::string section; // explicit section, taken away from functions
};

void writeSummary(llvm::Module &m, const std::vector<Original> &globals, lj_buf &out);

} // namespace lj

#endif
