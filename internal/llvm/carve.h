// carve.h: copies chosen globals of a module into a new one, for cutting and splitting.
#ifndef LIVEJIT_LLVM_CARVE_H
#define LIVEJIT_LLVM_CARVE_H

#include "cut.h"

#include "llvm/Transforms/Utils/ValueMapper.h"

namespace lj {

// Carver makes one new module. take() each global that is to be defined in it, then finish(). What those name is
// declared, or copied if it belongs to its users. Costs time proportional to what is taken.
class Carver final : public llvm::ValueMaterializer {
public:
  // Cut: the result replaces part of a program that runs. Split: a part of a program that will be linked again.
  // Data: the part of a split that has the data; the debug info of the whole module stays with it.
  enum Purpose { Cut, Split, Data };

  Carver(lj_mod &source, CutIndex &index, Purpose purpose);
  virtual ~Carver();

  // asked: v is wanted by its name, not only because it is tied to something else; a local is made visible then.
  void take(llvm::GlobalValue &v, bool asked = true);
  std::unique_ptr<llvm::Module> finish();

  // Why the module cannot be made, "" if it can.
  const std::string &obstacle() const { return why; }

private:
  lj_mod &source;
  llvm::Module &from;
  CutIndex &index;
  Purpose purpose;
  std::unique_ptr<llvm::Module> to;
  llvm::ValueToValueMapTy map;
  llvm::MetadataPredicate same;
  std::unique_ptr<llvm::ValueMapper> mapper;
  std::vector<llvm::GlobalValue *> taken;
  llvm::SmallSetVector<llvm::DICompileUnit *, 2> units; // trimmed
  std::string why;

  llvm::Value *materialize(llvm::Value *v) override;
  llvm::Function *makeFunction(llvm::Function &f, llvm::GlobalValue::LinkageTypes linkage);
  llvm::GlobalVariable *makeVariable(llvm::GlobalVariable &v, llvm::GlobalValue::LinkageTypes linkage);
  llvm::GlobalValue *declare(llvm::GlobalValue &v);
  llvm::Function *declareFunction(llvm::GlobalValue &v, llvm::Function *like);
  void cloneBlocks(llvm::Function &f, llvm::Function &copy);
  void copyComdat(llvm::GlobalObject &g, llvm::GlobalObject &copy);
  bool mapsToItself(const llvm::Metadata *md);
  void define(llvm::GlobalValue &v);
  void copyModuleFlags();
  void copyUsed();
};

// The clusters of a module: what label addresses tie together. Looks at every block once.
std::unique_ptr<CutIndex> makeIndex(llvm::Module &m);

// Whether md leads to something that is another in a module cut from this one.
bool differs(CutIndex &index, const llvm::Metadata *md);

} // namespace lj

#endif
