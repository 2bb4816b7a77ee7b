// cut.h: what cutting, splitting and preparing share.
#ifndef LIVEJIT_LLVM_CUT_H
#define LIVEJIT_LLVM_CUT_H

#include "state.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVector.h"

namespace llvm {
class Constant;
class DICompileUnit;
class Function;
class GlobalObject;
class GlobalValue;
class GlobalVariable;
class Metadata;
} // namespace llvm

namespace lj {

// A function with a body that lives only inside its users: always_inline, and not visible as a symbol.
bool isInlineHelper(const llvm::Function &f);

// A local variable whose initialiser holds label addresses: it belongs to the functions of the labels.
bool isLabelTable(const llvm::GlobalVariable &v);

// A constant that is copied with each user: private, unnamed_addr, constant.
bool isUsersConstant(const llvm::GlobalVariable &v);

// Attributes that LLVM infers from bodies: on something replaceable they are no promise.
void dropInferredAttributes(llvm::Function &f);

// CutIndex is what cutting must know of a whole module, found once, at the first cut.
struct CutIndex {
  // Functions that must stay together, and the label tables that go with them; keyed by every member.
  struct Cluster {
    llvm::SmallSetVector<llvm::Function *, 2> functions;
    llvm::SmallSetVector<llvm::GlobalVariable *, 2> variables;
    std::string obstacle; // why it cannot be cut, "" if it can
  };
  std::vector<std::unique_ptr<Cluster>> clusters;
  llvm::DenseMap<const llvm::GlobalObject *, Cluster *> cluster;

  llvm::DenseSet<const llvm::GlobalValue *> used, compilerUsed; // entries of llvm.used, llvm.compiler.used

  bool debugInfo = false; // the module has compile units

  // Metadata: true if it leads to something that differs in a cut module (a subprogram, a compile unit, a global value).
  llvm::DenseMap<const llvm::Metadata *, bool> differs;
  llvm::DenseMap<const llvm::DICompileUnit *, llvm::DICompileUnit *> trimmed;
};

} // namespace lj

#endif
