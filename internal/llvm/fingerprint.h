// fingerprint.h: hashes that tell whether two globals compile to the same.
//
// Every global is written as canonical bytes, which are hashed (xxh3, 128 bits). What enters, and how:
//  - Values by position: arguments and instructions are numbered in order, blocks too. Names do not enter.
//  - Types by structure, attributes by kind and value, opcodes with all flags and special state
//    (what Instruction::hasSameSpecialState compares).
//  - Metadata by structure, uniqued nodes by content, distinct ones by order of appearance. Debug info is left
//    out, wherever it hangs, and so is what only leads to the source (!srcloc).
//  - Another global by its name and what its users can see without its body: type, attributes, way of access. A
//    constant with a definitive initialiser also by its content, since the optimiser folds it.
//  - What is copied with its users (private constants, inline helpers, label tables) by content only.
//  - Functions that label addresses tie together change together.
//  - The triple, the data layout and the module flags, those of debug info aside.
// Bytes hold numbers of LLVM's enumerations, so a fingerprint means something in this process only.
#ifndef LIVEJIT_LLVM_FINGERPRINT_H
#define LIVEJIT_LLVM_FINGERPRINT_H

#include "bytes.h"
#include "cut.h"

#include "llvm/IR/Attributes.h"

namespace llvm {
class CallBase;
class DILocation;
class DIType;
class Instruction;
class MDNode;
class MDTuple;
} // namespace llvm

namespace lj {

// Numbers of things by address, for one function after another: clear() costs nothing.
class Numbering {
  struct Slot {
    const void *key;
    uint32_t number, generation;
  };
  std::vector<Slot> slots = std::vector<Slot>(256);
  uint32_t generation = 1, used = 0;
  unsigned shift = 64 - 8;

  Slot &find(const void *key) {
    size_t i = (uint64_t(uintptr_t(key)) * 0x9E3779B97F4A7C15ull) >> shift;
    while (slots[i].generation == generation && slots[i].key != key) i = (i + 1) & (slots.size() - 1);
    return slots[i];
  }
  void grow();

public:
  void clear() {
    generation++;
    used = 0;
  }
  // The number of key; it becomes fresh if it has none yet.
  std::pair<uint32_t, bool> number(const void *key, uint32_t fresh) {
    Slot *s = &find(key);
    if (s->generation == generation) return {s->number, false};
    if (++used * 2 > slots.size()) {
      grow();
      s = &find(key);
    }
    *s = {key, fresh, generation};
    return {fresh, true};
  }
};

// What is known by address, behind a direct-mapped cache.
const char nobody = 0; // an empty attribute list has the address nullptr
template <class What> class KnownOf {
  struct Slot {
    const void *key = &nobody;
    What what;
  };
  std::vector<Slot> slots = std::vector<Slot>(256);
  llvm::DenseMap<const void *, What> all;

public:
  template <class Make> What get(const void *key, Make &&make) {
    Slot &s = slots[(uint64_t(uintptr_t(key)) * 0x9E3779B97F4A7C15ull) >> 56];
    if (s.key == key) return s.what;
    auto it = all.find(key);
    What w = it != all.end() ? it->second : (all[key] = make());
    s = {key, w};
    return w;
  }
};

class Fingerprints {
public:
  explicit Fingerprints(llvm::Module &m);

  Hash code(const llvm::GlobalValue &v);
  Hash init(const llvm::GlobalVariable &v);
  uint64_t lines(const llvm::Function &f);

private:
  // What a global refers to whose content matters too. named: it is known by its name as well, and its content
  // matters only to code that may fold it.
  struct Edge {
    const llvm::GlobalObject *to;
    bool named;
  };
  // A global by itself; edges are numbered in the order in which they appear in its bytes.
  struct Node {
    Hash header, body;
    uint64_t lines = 0;
    llvm::SmallVector<Edge, 2> edges;
  };
  // Deep: named constants by content as well. Shallow: by name only.
  enum Depth { Deep, Shallow };

  // A constant: its hash if no edge starts in it, else it is written out at each use.
  struct Known {
    Hash hash;
    bool closed = false;
  };

  llvm::Module &m;
  Hash moduleHash;
  std::unique_ptr<CutIndex> index;
  llvm::SmallVector<llvm::StringRef, 64> metadataKinds; // names by number
  llvm::SmallVector<llvm::StringRef, 8> syncScopes;

  KnownOf<Hash> types, attributes, visible, data;
  llvm::DenseMap<llvm::AttributeSet, Hash> attributeSets;
  KnownOf<Known> constants;
  llvm::DenseMap<const llvm::GlobalValue *, Hash> references;
  llvm::DenseMap<const llvm::GlobalVariable *, bool> usersConstants;
  llvm::DenseMap<const llvm::MDNode *, Known> tuples;
  llvm::DenseMap<const llvm::MDNode *, uint64_t> places; // debug info: scopes, locations, variables, types
  llvm::DenseMap<const llvm::GlobalObject *, std::unique_ptr<Node>> nodes;
  llvm::DenseMap<const llvm::GlobalObject *, Hash> contents[2]; // by Depth

  // The node that is being written.
  Bytes out;
  Numbering numbers;
  uint32_t values = 0;
  Node *current = nullptr;
  std::vector<const llvm::MDNode *> pending; // nodes with a number whose content comes after the body

  // fingerprint.cpp: functions and variables
  Node &node(const llvm::GlobalObject &g);
  void writeFunction(const llvm::Function &f);
  void writeVariable(const llvm::GlobalVariable &v);
  void writeInstruction(const llvm::Instruction &i);
  void writeCall(const llvm::CallBase &c);
  void writeSyncScope(uint8_t id);
  void writeValue(const llvm::Value *v);
  void writeOperand(const llvm::Value *v);
  void writeComdat(const llvm::GlobalObject &g);
  bool isContent(const llvm::GlobalValue &g);
  bool isFoldable(const llvm::GlobalValue &g);
  Hash reference(const llvm::GlobalValue &g);

  // operands.cpp: types, attributes, constants, metadata
  Hash type(llvm::Type *t);
  Hash makeType(llvm::Type *t);
  Hash attributeList(llvm::AttributeList a);
  Hash attributeSet(llvm::AttributeSet a);
  Hash visibleAttributes(const llvm::Function &f);
  void constantHead(Bytes &b, const llvm::Constant *c);
  Known constant(const llvm::Constant *c);
  Known makeConstant(const llvm::Constant *c);
  Hash datum(const llvm::Constant *c);
  void writeConstant(const llvm::Constant *c);
  Known tuple(const llvm::MDTuple *t);
  void writeMetadata(const llvm::Metadata *md);
  void writeNode(const llvm::MDNode *n);
  void writeAttachments(llvm::SmallVectorImpl<std::pair<unsigned, llvm::MDNode *>> &list);
  Hash hashModule();

  // contents.cpp: what hangs together
  Hash content(const llvm::GlobalObject &g, Depth depth);
  Hash combine(const Node &n, Depth depth);
  void component(llvm::ArrayRef<const llvm::GlobalObject *> members, Depth depth);

  // lines.cpp: debug info
  uint64_t hashLines(const llvm::Function &f);
  uint64_t place(const llvm::MDNode *n);
};

} // namespace lj

#endif
