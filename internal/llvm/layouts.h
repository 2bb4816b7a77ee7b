// layouts.h: what the debug info of variables says about where they keep what.
#ifndef LIVEJIT_LLVM_LAYOUTS_H
#define LIVEJIT_LLVM_LAYOUTS_H

#include "state.h"

#include "llvm/ADT/DenseMap.h"

#include <map>

namespace llvm {
class DICompositeType;
class DIDerivedType;
class DIScope;
class DIType;
class GlobalVariable;
} // namespace llvm

namespace lj {

// Layouts describes the types of variables: add() each, finish(), then ask and write. Aggregates with a name are
// described once; those without one where they are used. See layout.go for the texts.
class Layouts {
public:
  void add(const llvm::GlobalVariable &v);
  void finish();

  // The type of a variable that was added, "" without debug info.
  llvm::StringRef typeOf(const llvm::GlobalVariable &v) const;
  // The number + 1 of the set of aggregates it leads to, 0 for none.
  uint32_t setOf(const llvm::GlobalVariable &v) const;

  // u32 layouts, each: str key, u64 size, u32 n, n x (str name, u64 offset, u64 size, str type);
  // u32 sets, each: u32 n, n x u32 layout.
  void write(Writer &w) const;

private:
  struct Aggregate;
  struct Member {
    std::string name, type;
    uint64_t offset, size;
  };
  using Names = std::vector<Aggregate *>; // in the order of appearance
  struct Aggregate {
    uint32_t number = 0;
    const llvm::DICompositeType *type = nullptr; // the definition, nullptr if none was seen
    std::vector<Member> members;
    Names leadsTo;
  };
  struct Variable {
    std::string type;
    Names leadsTo;
    uint32_t set = 0;
  };

  std::map<std::string, Aggregate> aggregates; // by key, in the order of Go's strings
  llvm::DenseMap<const llvm::DICompositeType *, std::map<std::string, Aggregate>::iterator> known;
  std::vector<Aggregate *> pending; // not described yet
  llvm::DenseMap<const llvm::GlobalVariable *, Variable> variables;
  std::map<std::vector<uint32_t>, uint32_t> sets;

  std::string text(const llvm::DIType *t, Names *names, unsigned depth = 0);
  std::string composite(const llvm::DICompositeType *t, const llvm::DIDerivedType *alias, Names *names, unsigned depth);
  std::string array(const llvm::DICompositeType *t, Names *names, unsigned depth);
  std::string pointer(const llvm::DIDerivedType *t, Names *names, unsigned depth);
  std::string function(const llvm::DIType *t, unsigned depth);
  std::vector<Member> members(const llvm::DICompositeType *t, Names *names, unsigned depth);
  std::map<std::string, Aggregate>::iterator find(const llvm::DICompositeType *t, std::string key);
  uint32_t closure(const Names &names);
};

} // namespace lj

#endif
