// split.cpp: a whole module as one part for each function and one with the data, which linked together are the same
// program again.
#include "carve.h"

#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalIFunc.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;

struct lj_split {
  lj_mod *mod;
  std::vector<std::vector<GlobalValue *>> parts; // the last is the data
  size_t next = 0;
};

namespace lj {
namespace {

class Splitter {
  Module &m;
  StringSet<> asmNames; // words of inline assembly: names in it cannot be changed
  std::string suffix;
  std::unique_ptr<CutIndex> &index;

public:
  Splitter(lj_mod *mod, StringRef identifier) : m(*mod->module), index(mod->index) {
    uint64_t hash;
    if (identifier.empty()) {
      SmallVector<char, 0> bitcode;
      BitcodeWriter w(bitcode);
      w.writeModule(m);
      w.writeStrtab();
      hash = xxh3_64bits(StringRef(bitcode.data(), bitcode.size()));
    } else {
      hash = xxh3_64bits(identifier);
    }
    raw_string_ostream(suffix) << ".lj" << format_hex_no_prefix(hash, 16);
  }

  void run(std::vector<std::vector<GlobalValue *>> &parts) {
    collectAsmNames();
    promoteAll();
    index = makeIndex(m);
    group(parts);
  }

private:
  void words(StringRef s) {
    auto inName = [](char c) { return isAlnum(c) || c == '_' || c == '.' || c == '$'; };
    for (size_t i = 0; i < s.size();) {
      size_t j = i;
      while (j < s.size() && inName(s[j])) j++;
      if (j > i) {
        StringRef w = s.slice(i, j);
        asmNames.insert(w);
        while (w.consume_front("$")) asmNames.insert(w); // an immediate operand
      }
      i = j + 1;
    }
  }

  void collectAsmNames() {
    words(m.getModuleInlineAsm());
    for (Function &f : m)
      for (Instruction &i : instructions(f))
        if (auto *call = dyn_cast<CallBase>(&i))
          if (auto *a = dyn_cast<InlineAsm>(call->getCalledOperand())) words(a->getAsmString());
  }

  // Lives on as a copy in each part that uses it.
  static bool copied(Function &f) { return isInlineHelper(f) && !f.hasAddressTaken(nullptr, false, true, false); }

  void promote(GlobalValue &v, const char *kind) {
    bool local = v.hasLocalLinkage();
    if (!local && v.hasName()) return;
    if (!v.hasName()) v.setName(Twine("anon.") + kind);
    if (!asmNames.contains(v.getName())) v.setName(v.getName() + suffix);
    if (!local) return;
    v.setLinkage(GlobalValue::ExternalLinkage);
    v.setVisibility(GlobalValue::HiddenVisibility);
    v.setDSOLocal(true);
  }

  void promoteAll() {
    for (Function &f : m)
      if (!copied(f)) promote(f, "function");
    for (GlobalVariable &v : m.globals())
      if (!v.getName().starts_with("llvm.") && !isUsersConstant(v) && !isLabelTable(v)) promote(v, "variable");
    for (GlobalAlias &a : m.aliases()) promote(a, "alias");
    for (GlobalIFunc &i : m.ifuncs()) promote(i, "ifunc");
  }

  static bool isPart(Function &f) { return !f.isDeclaration() && !f.hasAvailableExternallyLinkage() && !copied(f); }

  bool isData(GlobalVariable &v) {
    if (v.isDeclaration() || v.hasAvailableExternallyLinkage()) return false;
    if (v.getName() == "llvm.used" || v.getName() == "llvm.compiler.used") return false; // divided among the parts
    return !isUsersConstant(v) || index->used.contains(&v) || index->compilerUsed.contains(&v);
  }

  // The function that everything tied to a value goes with, if there is one.
  void group(std::vector<std::vector<GlobalValue *>> &parts) {
    EquivalenceClasses<GlobalValue *> ties;
    DenseMap<const Comdat *, GlobalValue *> comdats;
    auto comdat = [&](GlobalObject &g) {
      if (!g.getComdat()) return;
      auto [it, fresh] = comdats.try_emplace(g.getComdat(), &g);
      if (!fresh) ties.unionSets(it->second, &g);
    };
    std::vector<GlobalValue *> all;
    auto add = [&](GlobalValue &v) {
      all.push_back(&v);
      ties.insert(&v);
    };
    for (Function &f : m)
      if (isPart(f)) add(f), comdat(f);
    for (GlobalVariable &v : m.globals())
      if (isData(v)) add(v), comdat(v);
    for (GlobalIFunc &i : m.ifuncs()) {
      add(i);
      if (auto *r = i.getResolverFunction()) ties.unionSets(&i, r);
    }
    for (GlobalAlias &a : m.aliases()) {
      add(a);
      auto *base = a.getAliaseeObject();
      if (!base || base->isDeclaration()) continue;
      if (!ties.contains(base)) add(*base); // a private constant with a name after all
      ties.unionSets(&a, base);
    }
    for (auto &c : index->clusters) {
      GlobalValue *first = nullptr;
      auto tie = [&](GlobalValue *v) {
        if (!first) first = v;
        ties.unionSets(first, v);
      };
      for (Function *f : c->functions) tie(f);
      for (GlobalVariable *v : c->variables) tie(v);
    }

    DenseMap<GlobalValue *, size_t> part; // by leader
    for (GlobalValue *v : all) // functions come first in it
      if (isa<Function>(v)) {
        auto [it, fresh] = part.try_emplace(ties.getLeaderValue(v), parts.size());
        if (fresh) parts.emplace_back();
      }
    parts.emplace_back();
    for (GlobalValue *v : all) {
      auto it = part.find(ties.getLeaderValue(v));
      parts[it == part.end() ? parts.size() - 1 : it->second].push_back(v);
    }
  }
};

} // namespace
} // namespace lj

extern "C" {

lj_result lj_split_begin(lj_mod *m, const char *identifier, size_t identifierLen) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    auto s = std::make_unique<lj_split>();
    s->mod = m;
    lj::Splitter(m, StringRef(identifier, identifierLen)).run(s->parts);
    r.handle = s.release();
  });
}

lj_result lj_split_next(lj_split *s) {
  lj_mod *m = s->mod;
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    if (s->next == s->parts.size()) return;
    bool data = s->next + 1 == s->parts.size();
    lj::Carver carver(*m, *m->index, data ? lj::Carver::Data : lj::Carver::Split);
    std::string names;
    for (GlobalValue *v : s->parts[s->next++]) {
      carver.take(*v);
      if (isa<Function>(v)) names += (names.empty() ? "" : std::string(1, '\0')) + v->getName().str();
    }
    auto part = carver.finish();
    if (!part) {
      r.kind = lj::complain(m->ctx, LJ_UNSUPPORTED, "module cannot be split: " + carver.obstacle());
      return;
    }
    lj::giveModule(m->ctx, m->name, std::move(part), r);
    r.bytes = lj::copyBytes(names);
  });
}

void lj_split_free(lj_split *s) { delete s; }

} // extern "C"
