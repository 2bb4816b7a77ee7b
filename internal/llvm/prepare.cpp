// prepare.cpp: makes every function of a module replaceable.
//
// A function is replaceable when nothing that was compiled knows its body or reaches it but through its slot:
// weak linkage (LLVM's word for "another definition may be the real one") and calls through the GOT.
#include "cut.h"
#include "summary.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/InlineCost.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;

namespace lj {

bool isInlineHelper(const Function &f) {
  if (f.isDeclaration() || !f.hasFnAttribute(Attribute::AlwaysInline)) return false;
  return f.hasLocalLinkage() || f.hasLinkOnceLinkage() || f.hasAvailableExternallyLinkage();
}

namespace {

bool holdsLabel(const Constant *c, SmallPtrSetImpl<const Constant *> &seen) {
  if (isa<BlockAddress>(c)) return true;
  if (isa<GlobalValue>(c) || c->getNumOperands() == 0 || !seen.insert(c).second) return false;
  for (const Use &u : c->operands())
    if (auto *o = dyn_cast<Constant>(u))
      if (holdsLabel(o, seen)) return true;
  return false;
}

} // namespace

bool isLabelTable(const GlobalVariable &v) {
  if (!v.hasLocalLinkage() || !v.hasInitializer() || v.isThreadLocal()) return false;
  SmallPtrSet<const Constant *, 16> seen;
  return holdsLabel(v.getInitializer(), seen);
}

bool isUsersConstant(const GlobalVariable &v) {
  return v.hasPrivateLinkage() && v.isConstant() && v.hasGlobalUnnamedAddr() && v.hasInitializer() && !v.isThreadLocal();
}

void dropInferredAttributes(Function &f) {
  static const AttributeMask fn = [] {
    AttributeMask m;
    for (auto k : {Attribute::Memory, Attribute::NoFree, Attribute::NoSync, Attribute::NoRecurse, Attribute::NoUnwind,
                   Attribute::WillReturn, Attribute::NoReturn, Attribute::NoCallback, Attribute::Speculatable})
      m.addAttribute(k);
    return m;
  }();
  static const AttributeMask ret = [] {
    AttributeMask m;
    for (auto k : {Attribute::NoAlias, Attribute::NonNull, Attribute::Range}) m.addAttribute(k);
    return m;
  }();
  static const AttributeMask param = [] {
    AttributeMask m;
    for (auto k : {Attribute::Captures, Attribute::ReadNone, Attribute::ReadOnly, Attribute::WriteOnly, Attribute::Returned,
                   Attribute::NoFree, Attribute::Initializes, Attribute::Range})
      m.addAttribute(k);
    return m;
  }();
  LLVMContext &c = f.getContext();
  AttributeList a = f.getAttributes().removeFnAttributes(c, fn).removeRetAttributes(c, ret);
  for (unsigned i = 0; i < f.arg_size(); i++)
    if (a.hasParamAttrs(i)) a = a.removeParamAttributes(c, i, param);
  f.setAttributes(a);
}

namespace {

class Preparer {
  lj_ctx *ctx;
  Module &m;
  StringRef suffix;
  std::vector<Original> globals;
  DenseMap<AttributeList, AttributeList> definedAttributes, declaredAttributes;
  StringSet<> boundedSections; // with __start_ or __stop_ symbols
  unsigned unnamed = 0;
  int32_t failure = LJ_OK;

  void fail(int32_t kind, const Twine &message) { failure = complain(ctx, kind, message); }

public:
  Preparer(lj_mod *mod, StringRef suffix) : ctx(mod->ctx), m(*mod->module), suffix(suffix) {}

  int32_t run() {
    for (auto step : {&Preparer::target, &Preparer::names, &Preparer::flags, &Preparer::aliasesOfNothing, &Preparer::functions,
                      &Preparer::variables, &Preparer::aliases}) {
      (this->*step)();
      if (failure != LJ_OK) return failure;
    }
    return LJ_OK;
  }
  const std::vector<Original> &result() const { return globals; }

private:
  // --- the target ---

  void target() {
    const Triple &have = m.getTargetTriple(), &want = host().triple;
    if (have.str().empty()) {
      m.setTargetTriple(want);
    } else if (have.getArch() != want.getArch() || have.isX32() != want.isX32() || !have.isOSBinFormatELF() ||
               (have.getOS() != Triple::UnknownOS && have.getOS() != want.getOS())) {
      return fail(LJ_TARGET, "module is for target " + have.str() + ", this process runs on " + want.str());
    }
    const DataLayout &layout = host().layout;
    if (m.getDataLayoutStr().empty() || (m.getDataLayout() != layout && sameStorage(m.getDataLayout(), layout)))
      m.setDataLayout(layout);
    else if (m.getDataLayout() != layout)
      fail(LJ_TARGET, "module has data layout \"" + m.getDataLayoutStr() + "\", this process needs \"" + layout.getStringRepresentation() + "\"");
  }

  // Whether two layouts put the same things in the same places; they may differ in hints and unused address spaces.
  bool sameStorage(const DataLayout &a, const DataLayout &b) {
    if (a.isBigEndian() != b.isBigEndian() || a.getPointerSizeInBits(0) != b.getPointerSizeInBits(0) ||
        a.getIndexSizeInBits(0) != b.getIndexSizeInBits(0) || a.getAllocaAddrSpace() != b.getAllocaAddrSpace() ||
        a.getProgramAddressSpace() != b.getProgramAddressSpace() ||
        a.getDefaultGlobalsAddressSpace() != b.getDefaultGlobalsAddressSpace())
      return false;
    LLVMContext &c = ctx->context;
    Type *types[] = {Type::getInt1Ty(c),   Type::getInt8Ty(c),     Type::getInt16Ty(c),  Type::getInt32Ty(c),
                     Type::getInt64Ty(c),  Type::getInt128Ty(c),   Type::getHalfTy(c),   Type::getBFloatTy(c),
                     Type::getFloatTy(c),  Type::getDoubleTy(c),   Type::getX86_FP80Ty(c), Type::getFP128Ty(c),
                     PointerType::get(c, 0)};
    for (Type *t : types)
      if (a.getABITypeAlign(t) != b.getABITypeAlign(t) || a.getTypeAllocSize(t) != b.getTypeAllocSize(t)) return false;
    for (unsigned n : {8, 16, 32, 64}) {
      Type *v = FixedVectorType::get(Type::getInt8Ty(c), n);
      if (a.getABITypeAlign(v) != b.getABITypeAlign(v)) return false;
    }
    return true;
  }

  // --- names ---

  // A \1 in front of a name asks that it not be mangled; ELF does not mangle.
  void names() {
    SmallVector<GlobalValue *, 8> raw;
    for (GlobalValue &v : m.global_values()) {
      StringRef n = v.getName();
      if (n.empty()) continue;
      if (n[0] == '\1') raw.push_back(&v);
      if (n.contains('\0')) return fail(LJ_UNSUPPORTED, "symbol name with a zero byte: " + n.take_until([](char c) { return !c; }));
      if (v.isDeclaration() && (n.starts_with("__start_") || n.starts_with("__stop_")))
        boundedSections.insert(n.substr(n.starts_with("__start_") ? 8 : 7));
    }
    for (GlobalValue *v : raw) {
      std::string plain = v->getName().substr(1).str();
      GlobalValue *other = m.getNamedValue(plain);
      if (!other) {
        v->setName(plain);
        continue;
      }
      if (!other->isDeclaration() && !v->isDeclaration())
        return fail(LJ_UNSUPPORTED, "symbol defined twice: \"" + plain + "\" and \"\\01" + plain + "\"");
      GlobalValue *keep = other->isDeclaration() ? v : other, *drop = keep == v ? other : v;
      drop->replaceAllUsesWith(keep);
      drop->eraseFromParent();
      keep->setName(plain);
    }
  }

  // Gives v its symbol name if it was local; true if it was.
  bool nameLocal(GlobalValue &v, const Twine &kind) {
    bool local = v.hasLocalLinkage() || !v.hasName();
    if (!v.hasName()) {
      std::string n;
      do n = ("anon." + kind + "." + Twine(unnamed++)).str();
      while (m.getNamedValue(n));
      v.setName(n);
    }
    if (local && !suffix.empty()) v.setName(v.getName() + suffix);
    return local;
  }

  // --- module flags ---

  void flags() {
    static const StringRef ours[] = {"PIE Level", "PIC Level", "RtLibUseGOT", "direct-access-external-data", "frame-pointer", "uwtable"};
    if (NamedMDNode *flags = m.getModuleFlagsMetadata()) {
      SmallVector<MDNode *, 16> keep;
      for (MDNode *n : flags->operands()) {
        auto *key = n->getNumOperands() == 3 ? dyn_cast_or_null<MDString>(n->getOperand(1)) : nullptr;
        if (!key || !is_contained(ours, key->getString())) keep.push_back(n);
      }
      flags->clearOperands();
      for (MDNode *n : keep) flags->addOperand(n);
    }
    m.addModuleFlag(Module::Max, "PIC Level", 2); // and no PIE level: thread-local variables are general dynamic
    m.addModuleFlag(Module::Max, "RtLibUseGOT", 1);
    m.addModuleFlag(Module::Max, "frame-pointer", 2); // for functions that passes make
    m.addModuleFlag(Module::Max, "uwtable", 2);
  }

  // --- functions ---

  void note(GlobalValue &v, bool local, bool defined, bool alwaysInline = false) {
    globals.push_back({&v, v.getLinkage(), v.getVisibility(), local, defined, alwaysInline, {}});
  }

  // Makes v preemptible under its own name.
  static void interposable(GlobalValue &v, GlobalValue::LinkageTypes linkage) {
    v.setDLLStorageClass(GlobalValue::DefaultStorageClass);
    v.setVisibility(GlobalValue::DefaultVisibility);
    v.setLinkage(linkage);
    v.setDSOLocal(false);
  }

  // Attribute lists are shared by many functions: each is edited once.
  void editAttributes(Function &f, bool definition) {
    auto &cache = definition ? definedAttributes : declaredAttributes;
    auto [it, fresh] = cache.try_emplace(f.getAttributes());
    if (fresh) {
      if (definition) {
        dropInferredAttributes(f);
        f.setUWTableKind(UWTableKind::Async);
        f.addFnAttr("frame-pointer", "all");
      }
      f.addFnAttr(Attribute::NonLazyBind);
      it->second = f.getAttributes();
    }
    f.setAttributes(it->second);
  }

  void functions() {
    std::vector<Function *> all; // the list grows while we work
    for (Function &f : m) all.push_back(&f);
    globals.reserve(all.size() + m.global_size());
    for (Function *f : all) {
      if (f->isIntrinsic()) continue;
      if (f->isDeclaration()) {
        declared(*f);
      } else if (f->hasFnAttribute(Attribute::AlwaysInline)) {
        alwaysInline(*f);
      } else if (f->hasAvailableExternallyLinkage()) {
        dropBody(*f);
      } else {
        note(*f, nameLocal(*f, "function"), true);
        replaceable(*f);
      }
    }
  }

  void declared(Function &f) {
    note(f, nameLocal(f, "function"), false);
    interposable(f, f.hasExternalWeakLinkage() ? GlobalValue::ExternalWeakLinkage : GlobalValue::ExternalLinkage);
    editAttributes(f, false);
  }

  void dropBody(Function &f) {
    note(f, false, false);
    f.setComdat(nullptr);
    f.deleteBody();
    f.setPrefixData(nullptr);
    f.setPrologueData(nullptr);
    f.setPersonalityFn(nullptr);
    interposable(f, GlobalValue::ExternalLinkage);
    editAttributes(f, false);
  }

  void replaceable(Function &f) {
    interposable(f, GlobalValue::WeakAnyLinkage);
    editAttributes(f, true);
    // Functions of one section could not be placed one by one. The name of a section means something only
    // if somebody asks for its bounds.
    if (f.hasSection() && !boundedSections.contains(f.getSection())) {
      globals.back().section = f.getSection().str();
      f.setSection("");
    }
    for (User *u : f.users()) // a call site can ask for inlining, too
      if (auto *call = dyn_cast<CallBase>(u))
        if (call->getAttributes().hasFnAttr(Attribute::AlwaysInline)) call->removeFnAttr(Attribute::AlwaysInline);
  }

  void alwaysInline(Function &f) {
    if (!isInlineViable(f).isSuccess()) { // it asks for what cannot be done (label addresses, recursion)
      f.removeFnAttr(Attribute::AlwaysInline);
      if (f.hasAvailableExternallyLinkage()) return dropBody(f);
      note(f, nameLocal(f, "function"), true);
      globals.back().alwaysInline = true;
      return replaceable(f);
    }
    if (f.hasAvailableExternallyLinkage()) { // calls that stay, and its address, are somebody else's function
      note(f, false, false, true);
      interposable(f, GlobalValue::AvailableExternallyLinkage);
      return editAttributes(f, false);
    }
    if (isInlineHelper(f) && !f.hasAddressTaken(nullptr, false, true, false)) {
      note(f, nameLocal(f, "function"), false, true);
      return helper(f);
    }
    ValueToValueMapTy vmap;
    Function *inl = CloneFunction(&f, vmap);
    note(f, nameLocal(f, "function"), true, true);
    inl->setName(f.getName() + ".inline");
    f.replaceUsesWithIf(inl, [](Use &u) {
      auto *call = dyn_cast<CallBase>(u.getUser());
      return call && call->isCallee(&u);
    });
    helper(*inl);
    f.removeFnAttr(Attribute::AlwaysInline);
    replaceable(f);
  }

  // What is left of a helper after inlining, if anything, is no symbol.
  void helper(Function &f) {
    f.setComdat(nullptr);
    f.setLinkage(GlobalValue::InternalLinkage);
    f.setUWTableKind(UWTableKind::Async);
    f.addFnAttr("frame-pointer", "all");
  }

  // --- variables ---

  void variables() {
    for (GlobalVariable &v : m.globals()) {
      if (v.hasAppendingLinkage() || v.getName().starts_with("llvm.")) continue;
      if (v.hasAvailableExternallyLinkage()) {
        note(v, false, false);
        v.setInitializer(nullptr);
        v.setComdat(nullptr);
        interposable(v, GlobalValue::ExternalLinkage);
      } else if (v.isDeclaration()) {
        note(v, nameLocal(v, "variable"), false);
        interposable(v, v.getLinkage());
      } else if (!isUsersConstant(v) && !isLabelTable(v)) {
        definedVariable(v);
      }
    }
  }

  void definedVariable(GlobalVariable &v) {
    note(v, false, true);
    globals.back().local = nameLocal(v, "variable");
    bool strong = v.hasLocalLinkage() || v.hasExternalLinkage();
    interposable(v, v.hasLocalLinkage() ? GlobalValue::ExternalLinkage : v.getLinkage());
    if (v.isThreadLocal()) v.setThreadLocalMode(GlobalValue::GeneralDynamicTLSModel);
    // A weak definition may lose against one that is far away, and a thread-local one may be in another TLS block.
    if (strong && !v.isThreadLocal()) {
      // Protected: reached directly, but by its name. With default visibility LLVM would make references by way of
      // the section, and an engine that keeps an earlier definition could not tell where they belong.
      v.setVisibility(GlobalValue::ProtectedVisibility);
      v.setDSOLocal(true);
    }
  }

  // --- aliases ---

  // An available_externally alias is a declaration of what it names.
  void aliasesOfNothing() {
    for (GlobalAlias &a : make_early_inc_range(m.aliases())) {
      if (!a.hasAvailableExternallyLinkage()) continue;
      std::string name = a.getName().str();
      a.setName("");
      GlobalValue *decl;
      if (auto *f = dyn_cast_or_null<Function>(a.getAliaseeObject())) {
        auto *d = Function::Create(f->getFunctionType(), GlobalValue::ExternalLinkage, name, m);
        d->setAttributes(f->getAttributes());
        d->removeFnAttr(Attribute::AlwaysInline);
        d->setCallingConv(f->getCallingConv());
        decl = d;
      } else {
        decl = new GlobalVariable(m, a.getValueType(), false, GlobalValue::ExternalLinkage, nullptr, name, nullptr, a.getThreadLocalMode());
      }
      a.replaceAllUsesWith(decl);
      a.eraseFromParent();
    }
  }

  // An alias must not name an alias that is weak: each gets to name the object itself.
  void flatten(GlobalAlias &a) {
    auto *base = a.getAliaseeObject();
    if (!base || base == a.getAliasee()) return;
    APInt offset(m.getDataLayout().getIndexTypeSizeInBits(a.getType()), 0);
    if (a.getAliasee()->stripAndAccumulateConstantOffsets(m.getDataLayout(), offset, true) != base) return;
    Constant *c = base;
    if (!offset.isZero()) c = ConstantExpr::getGetElementPtr(Type::getInt8Ty(ctx->context), c, ConstantInt::get(ctx->context, offset));
    if (c->getType() == a.getType()) a.setAliasee(c);
  }

  void aliases() {
    for (GlobalAlias &a : m.aliases()) flatten(a);
    for (GlobalAlias &a : m.aliases()) alias(a, "alias");
    for (GlobalIFunc &i : m.ifuncs()) alias(i, "ifunc");
  }

  void alias(GlobalValue &a, const char *kind) {
    note(a, false, true);
    globals.back().local = nameLocal(a, kind);
    interposable(a, GlobalValue::WeakAnyLinkage);
  }
};

} // namespace
} // namespace lj

extern "C" lj_result lj_prepare(lj_mod *mod, const char *suffix, size_t suffixLen) {
  return lj::guarded(mod->ctx, nullptr, mod->name, [&](lj_result &r) {
    mod->index.reset();
    lj::Preparer p(mod, StringRef(suffix, suffixLen));
    r.kind = p.run();
    if (r.kind == LJ_OK) lj::writeSummary(*mod->module, p.result(), r.bytes);
  });
}
