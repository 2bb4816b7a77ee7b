// layouts.cpp: the texts and members of types in debug info.
#include "layouts.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/BinaryFormat/Dwarf.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/GlobalVariable.h"

using namespace llvm;

namespace lj {
namespace {

constexpr unsigned maxDepth = 100; // of types written into each other; source programs stay far below

// Typedefs are looked through, qualifiers dropped. alias is the last typedef passed, nullptr for none.
const DIType *strip(const DIType *t, const DIDerivedType **alias = nullptr) {
  while (auto *d = dyn_cast_or_null<DIDerivedType>(t)) {
    switch (d->getTag()) {
    case dwarf::DW_TAG_typedef:
      if (alias) *alias = d;
      break;
    case dwarf::DW_TAG_const_type:
    case dwarf::DW_TAG_volatile_type:
    case dwarf::DW_TAG_restrict_type:
    case dwarf::DW_TAG_atomic_type:
    case dwarf::DW_TAG_immutable_type:
    case dwarf::DW_TAG_LLVM_ptrauth_type:
    case dwarf::DW_TAG_template_alias: break;
    default: return t;
    }
    t = d->getBaseType();
  }
  return t;
}

const char *keyword(const DICompositeType *t) {
  switch (t->getTag()) {
  case dwarf::DW_TAG_class_type: return "class";
  case dwarf::DW_TAG_union_type: return "union";
  case dwarf::DW_TAG_enumeration_type: return "enum";
  default: return "struct";
  }
}

// Namespaces, classes and functions around a type, each with "::".
std::string scopeOf(const DIScope *s) {
  std::vector<StringRef> names;
  for (; s; s = s->getScope()) {
    if (isa<DIFile>(s) || isa<DICompileUnit>(s)) break;
    if (isa<DILexicalBlockBase>(s)) continue;
    StringRef n = s->getName();
    names.push_back(!n.empty() ? n : isa<DINamespace>(s) ? "(anonymous namespace)" : "(anonymous)");
  }
  std::string r;
  for (size_t i = names.size(); i-- > 0;) r += names[i].str() + "::";
  return r;
}

std::string dimension(const DINode *n) {
  auto *s = dyn_cast<DISubrange>(n);
  if (!s) return "[?]";
  auto number = [](DISubrange::BoundType b, int64_t &v) {
    auto *c = dyn_cast_if_present<ConstantInt *>(b);
    if (c) v = c->getSExtValue();
    return c != nullptr;
  };
  int64_t count = 0, lower = 0, upper = 0;
  if (!number(s->getCount(), count)) {
    if (!number(s->getUpperBound(), upper)) return s->getCount() ? "[?]" : "[]";
    number(s->getLowerBound(), lower);
    count = upper - lower + 1;
  }
  return count < 0 ? "[]" : "[" + std::to_string(count) + "]";
}

} // namespace

void Layouts::add(const GlobalVariable &v) {
  SmallVector<DIGlobalVariableExpression *, 1> list;
  if (v.hasMetadata()) v.getDebugInfo(list);
  if (list.empty() || !list[0]->getVariable()->getType()) return;
  Variable &var = variables[&v];
  var.type = text(list[0]->getVariable()->getType(), &var.leadsTo);
}

void Layouts::finish() {
  while (!pending.empty()) {
    Aggregate *a = pending.back();
    pending.pop_back();
    a->members = members(a->type, &a->leadsTo, 0);
  }
  uint32_t n = 0;
  for (auto &[key, a] : aggregates)
    if (a.type) a.number = n++;
  for (auto &[global, v] : variables) v.set = closure(v.leadsTo);
}

// All aggregates that names lead to, as the number + 1 of a set.
uint32_t Layouts::closure(const Names &names) {
  std::vector<Aggregate *> reached;
  DenseMap<Aggregate *, bool> seen;
  auto reach = [&](const Names &more) {
    for (Aggregate *a : more)
      if (a->type && seen.try_emplace(a, true).second) reached.push_back(a);
  };
  reach(names);
  for (size_t i = 0; i < reached.size(); i++) reach(reached[i]->leadsTo);
  if (reached.empty()) return 0;
  std::vector<uint32_t> numbers;
  for (Aggregate *a : reached) numbers.push_back(a->number);
  llvm::sort(numbers);
  return sets.try_emplace(std::move(numbers), uint32_t(sets.size())).first->second + 1;
}

StringRef Layouts::typeOf(const GlobalVariable &v) const {
  auto it = variables.find(&v);
  return it == variables.end() ? StringRef() : StringRef(it->second.type);
}

uint32_t Layouts::setOf(const GlobalVariable &v) const {
  auto it = variables.find(&v);
  return it == variables.end() ? 0 : it->second.set;
}

void Layouts::write(Writer &w) const {
  uint32_t n = 0;
  for (auto &[key, a] : aggregates) n += a.type != nullptr;
  w.u32(n);
  for (auto &[key, a] : aggregates) {
    if (!a.type) continue; // only declared
    w.str(key);
    w.u64((a.type->getSizeInBits() + 7) / 8);
    w.u32(uint32_t(a.members.size()));
    for (const Member &m : a.members) {
      w.str(m.name);
      w.u64(m.offset);
      w.u64(m.size);
      w.str(m.type);
    }
  }
  std::vector<const std::vector<uint32_t> *> order(sets.size());
  for (auto &[numbers, i] : sets) order[i] = &numbers;
  w.u32(uint32_t(order.size()));
  for (auto *numbers : order) {
    w.u32(uint32_t(numbers->size()));
    for (uint32_t i : *numbers) w.u32(i);
  }
}

// --- texts ---

std::string Layouts::text(const DIType *type, Names *names, unsigned depth) {
  const DIDerivedType *alias = nullptr;
  const DIType *t = strip(type, &alias);
  if (!t) return "void";
  if (depth > maxDepth) return "...";
  if (auto *c = dyn_cast<DICompositeType>(t)) return composite(c, alias, names, depth);
  if (auto *d = dyn_cast<DIDerivedType>(t)) return pointer(d, names, depth);
  if (isa<DISubroutineType>(t)) return "function " + function(t, depth);
  return t->getName().str();
}

std::string Layouts::pointer(const DIDerivedType *t, Names *names, unsigned depth) {
  const DIType *to = strip(t->getBaseType());
  std::string mark;
  switch (t->getTag()) {
  case dwarf::DW_TAG_pointer_type:
    if (to && isa<DISubroutineType>(to)) return "function pointer " + function(to, depth);
    mark = "*";
    break;
  case dwarf::DW_TAG_reference_type: mark = "&"; break;
  case dwarf::DW_TAG_rvalue_reference_type: mark = "&&"; break;
  case dwarf::DW_TAG_ptr_to_member_type: mark = text(t->getClassType(), nullptr, depth + 1) + "::*"; break;
  default: return t->getName().empty() ? text(t->getBaseType(), names, depth + 1) : t->getName().str();
  }
  std::string s = text(t->getBaseType(), names, depth + 1);
  return s + (s.back() == '*' && mark == "*" ? "" : " ") + mark;
}

// Result and parameters: "int (char *, ...)". What they lead to lies nowhere.
std::string Layouts::function(const DIType *t, unsigned depth) {
  auto types = cast<DISubroutineType>(t)->getTypeArray();
  std::string s = types.size() && types[0] ? text(types[0], nullptr, depth + 1) : "void";
  s += " (";
  for (unsigned i = 1; i < types.size(); i++) {
    if (i > 1) s += ", ";
    s += types[i] ? text(types[i], nullptr, depth + 1) : "...";
  }
  return s + ")";
}

std::string Layouts::array(const DICompositeType *t, Names *names, unsigned depth) {
  std::string s = text(t->getBaseType(), names, depth + 1);
  if (t->isVector()) s += " vector";
  for (const DINode *n : t->getElements()) s += dimension(n);
  return s;
}

std::string Layouts::composite(const DICompositeType *t, const DIDerivedType *alias, Names *names, unsigned depth) {
  if (t->getTag() == dwarf::DW_TAG_array_type) return array(t, names, depth);
  std::string key;
  if (!t->getName().empty()) key = std::string(keyword(t)) + " " + scopeOf(t->getScope()) + t->getName().str();
  else if (alias) key = scopeOf(alias->getScope()) + alias->getName().str();
  if (key.empty()) {
    std::string s = std::string(keyword(t)) + " {";
    for (const Member &m : members(t, names, depth + 1)) {
      s += " " + m.type + (m.name.empty() ? "" : " " + m.name);
      if (t->getTag() != dwarf::DW_TAG_enumeration_type) s += " @" + std::to_string(m.offset);
      s += ";";
    }
    return s + " }";
  }
  auto it = find(t, std::move(key));
  if (names && !is_contained(*names, &it->second)) names->push_back(&it->second);
  return it->first;
}

// The aggregate of a type that has a name. Types of one name in several units of a module are taken for the same
// if they have the same size and number of members; others get a number.
std::map<std::string, Layouts::Aggregate>::iterator Layouts::find(const DICompositeType *t, std::string key) {
  auto have = known.find(t);
  if (have != known.end()) return have->second;
  std::string name = key;
  for (unsigned n = 2;; n++) {
    auto it = aggregates.try_emplace(name).first;
    Aggregate &a = it->second;
    if (t->isForwardDecl()) return it; // not known: a definition may turn up
    bool fresh = !a.type;
    if (fresh) {
      a.type = t;
      pending.push_back(&a);
    }
    if (fresh || (a.type->getSizeInBits() == t->getSizeInBits() && a.type->getElements().size() == t->getElements().size())) {
      known[t] = it;
      return it;
    }
    name = key + "#" + std::to_string(n);
  }
}

std::vector<Layouts::Member> Layouts::members(const DICompositeType *t, Names *names, unsigned depth) {
  std::vector<Member> list;
  for (const DINode *n : t->getElements()) {
    if (auto *e = dyn_cast<DIEnumerator>(n)) {
      SmallString<24> value;
      e->getValue().toString(value, 10, !e->isUnsigned());
      list.push_back({e->getName().str(), ("= " + value).str(), 0, t->getSizeInBits()});
    } else if (auto *d = dyn_cast<DIDerivedType>(n)) {
      std::string name = d->getName().str();
      if (d->getTag() == dwarf::DW_TAG_inheritance)
        name = (d->isVirtual() ? "virtual base " : "base ") + text(d->getBaseType(), nullptr, depth + 1);
      else if (d->getTag() != dwarf::DW_TAG_member || d->isStaticMember())
        continue;
      uint64_t size = d->getSizeInBits();
      const DIType *base = strip(d->getBaseType());
      if (!size && base) size = base->getSizeInBits();
      list.push_back({name, text(d->getBaseType(), names, depth + 1), d->getOffsetInBits(), size});
    } else if (auto *c = dyn_cast<DICompositeType>(n); c && c->getTag() == dwarf::DW_TAG_variant_part) {
      list.push_back({"variants", composite(c, nullptr, names, depth + 1), c->getOffsetInBits(), t->getSizeInBits()});
    }
  }
  return list;
}

} // namespace lj
