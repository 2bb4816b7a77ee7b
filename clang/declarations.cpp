// declarations.cpp: what a translation unit declares at file scope.
#include "declarations.h"

#include "clang/AST/ASTContext.h"
#include "clang/AST/Decl.h"
#include "clang/AST/DeclCXX.h"
#include "clang/AST/DeclTemplate.h"
#include "clang/AST/Mangle.h"
#include "clang/AST/RecordLayout.h"
#include "clang/Basic/SourceManager.h"
#include "clang/Lex/Lexer.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace clang;

namespace {

// Types are told no deeper than this: nobody reads more of a value.
constexpr int maxDepth = 6;

class Teller {
  ASTContext &ctx;
  SourceManager &sm;
  PrintingPolicy policy;
  llvm::json::OStream out;
  ASTNameGenerator symbols;

public:
  Teller(ASTContext &c, llvm::raw_ostream &os) : ctx(c), sm(c.getSourceManager()), policy(c.getPrintingPolicy()), out(os), symbols(c) {}

  void unit() {
    out.array([&] {
      auto *tu = ctx.getTranslationUnitDecl();
      for (auto it = tu->noload_decls_begin(); it != tu->noload_decls_end(); ++it) {
        Decl *d = *it;
        if (d->isImplicit() && !isa<RecordDecl>(d)) continue;
        if (auto *r = dyn_cast<CXXRecordDecl>(d); r && r->isLambda()) continue; // nobody wrote it as a declaration
        auto range = sm.getExpansionRange(d->getSourceRange());
        if (range.getBegin().isInvalid() || sm.getFileID(range.getBegin()) != sm.getMainFileID()) continue;
        out.object([&] { declaration(d, range); });
      }
    });
  }

private:
  std::string print(QualType t, std::string name = "") {
    t.getAsStringInternal(name, policy);
    return name;
  }

  // The bytes [begin, end) of a range of tokens in the main file.
  void place(const char *key, CharSourceRange range) {
    unsigned begin = sm.getFileOffset(range.getBegin()), end = sm.getFileOffset(range.getEnd());
    if (range.isTokenRange()) end += Lexer::MeasureTokenLength(range.getEnd(), sm, ctx.getLangOpts());
    out.attributeArray(key, [&] {
      out.value(begin);
      out.value(end);
    });
  }

  void declaration(Decl *d, CharSourceRange range) {
    place("range", range);
    if (auto *n = dyn_cast<NamedDecl>(d)) out.attribute("name", n->getDeclName() ? n->getQualifiedNameAsString() : std::string());
    const char *kind = "other";
    bool definition = true;
    if (auto *f = dyn_cast<FunctionDecl>(d)) {
      kind = isa<CXXMethodDecl>(f) ? "method" : "function";
      definition = f->isThisDeclarationADefinition();
      out.attribute("type", print(f->getType()));
      out.attribute("declaration", print(f->getType(), f->getNameAsString()));
      out.attribute("constant", f->isConstexpr());
      if (!f->isInvalidDecl() && !f->isDependentContext()) out.attribute("symbol", symbols.getName(f));
      if (definition && f->getBody()) place("init", sm.getExpansionRange(f->getBody()->getSourceRange()));
      out.attribute("prototype", f->hasPrototype());
    } else if (auto *v = dyn_cast<VarDecl>(d)) {
      kind = v->isStaticDataMember() ? "method" : "variable";
      definition = v->isThisDeclarationADefinition() != VarDecl::DeclarationOnly;
      out.attribute("type", print(v->getType()));
      out.attribute("declaration", print(v->getType(), v->getNameAsString()));
      out.attribute("constant", ctx.getLangOpts().CPlusPlus && v->getType().isConstQualified() && v->getStorageClass() != SC_Extern);
      if (!v->isInvalidDecl() && !v->getType()->isDependentType()) out.attribute("symbol", symbols.getName(v));
      out.attribute("thread", v->getTLSKind() != VarDecl::TLS_None);
      if (v->getInit() && v->getInit()->getSourceRange().isValid()) place("init", sm.getExpansionRange(v->getInit()->getSourceRange()));
      out.attributeObject("layout", [&] { type(v->getType(), 0); });
    } else if (auto *t = dyn_cast<TagDecl>(d)) {
      kind = "type";
      definition = t->isThisDeclarationADefinition();
      out.attribute("tag", t->getKindName());
      if (auto *e = dyn_cast<EnumDecl>(t))
        out.attributeArray("names", [&] {
          for (auto *c : e->enumerators()) out.value(c->getNameAsString());
        });
      if (definition && !t->isInvalidDecl() && !t->isDependentType())
        out.attributeObject("layout", [&] { type(ctx.getCanonicalTagType(t), 0); });
    } else if (isa<TypedefNameDecl>(d)) {
      kind = "typedef";
      auto t = cast<TypedefNameDecl>(d)->getUnderlyingType();
      if (!t->isDependentType() && !d->isInvalidDecl()) out.attributeObject("layout", [&] { type(t, 0); });
    } else if (isa<EmptyDecl>(d)) {
      kind = "empty";
    } else {
      out.attribute("class", d->getDeclKindName());
    }
    out.attribute("kind", kind);
    out.attribute("definition", definition);
  }

  // One type, as what a value of it looks like in memory.
  void type(QualType t, int depth) {
    if (auto *e = dyn_cast<TypeOfExprType>(t.getTypePtr())) t = e->desugar();
    if (auto *e = dyn_cast<DecltypeType>(t.getTypePtr())) t = e->desugar();
    out.attribute("name", print(t.getUnqualifiedType()));
    t = t.getCanonicalType().getUnqualifiedType().getNonReferenceType();
    if (t->isVoidType()) return out.attribute("kind", "void");
    if (t->isFunctionType()) return out.attribute("kind", "function");
    if (t->isIncompleteType() || t->isDependentType() || t->isUndeducedType()) return out.attribute("kind", "incomplete");
    if (ctx.getAsVariableArrayType(t)) return out.attribute("kind", "incomplete");
    out.attribute("size", ctx.getTypeSizeInChars(t).getQuantity());
    if (depth > maxDepth) return out.attribute("kind", "deep");
    if (auto *a = ctx.getAsConstantArrayType(t)) {
      out.attribute("kind", "array");
      out.attribute("count", (int64_t)a->getSize().getZExtValue());
      return out.attributeObject("element", [&] { type(a->getElementType(), depth + 1); });
    }
    if (t->isPointerType()) {
      auto to = t->getPointeeType();
      out.attribute("kind", to->isFunctionType() ? "function pointer" : to->isCharType() ? "string" : "pointer");
      if (depth == 0) out.attributeObject("element", [&] { type(to, 1); });
      return;
    }
    if (auto *e = t->getAsEnumDecl()) {
      out.attribute("kind", "enum");
      out.attribute("signed", e->getIntegerType()->isSignedIntegerType());
      return out.attributeArray("enumerators", [&] {
        for (auto *c : e->getDefinitionOrSelf()->enumerators())
          out.object([&] {
            out.attribute("name", c->getNameAsString());
            out.attribute("value", c->getInitVal().getExtValue());
          });
      });
    }
    if (auto *r = t->getAsRecordDecl()) return record(r->getDefinitionOrSelf(), depth);
    if (t->isBooleanType()) return out.attribute("kind", "bool");
    if (t->isCharType()) return out.attribute("kind", "char");
    if (t->isRealFloatingType()) return out.attribute("kind", "float");
    if (t->isIntegerType()) return out.attribute("kind", t->isSignedIntegerType() ? "int" : "unsigned");
    out.attribute("kind", "bytes");
  }

  void record(RecordDecl *r, int depth) {
    out.attribute("kind", r->isUnion() ? "union" : "struct");
    if (r->isInvalidDecl()) return;
    auto &layout = ctx.getASTRecordLayout(r);
    out.attributeArray("fields", [&] {
      if (auto *c = dyn_cast<CXXRecordDecl>(r))
        for (auto &b : c->bases()) {
          if (b.isVirtual()) continue;
          auto *base = b.getType()->getAsCXXRecordDecl();
          if (!base || base->isEmpty()) continue;
          out.object([&] {
            out.attribute("offset", ctx.toBits(layout.getBaseClassOffset(base)));
            out.attributeObject("type", [&] { type(b.getType(), depth + 1); });
          });
        }
      for (auto *f : r->fields()) {
        out.object([&] {
          out.attribute("name", f->getNameAsString());
          out.attribute("offset", (int64_t)layout.getFieldOffset(f->getFieldIndex()));
          if (f->isBitField()) out.attribute("bits", (int64_t)f->getBitWidthValue());
          out.attributeObject("type", [&] { type(f->getType(), depth + 1); });
        });
      }
    });
  }
};

} // namespace

std::string declarations(ASTContext &ctx) {
  std::string text;
  llvm::raw_string_ostream os(text);
  Teller(ctx, os).unit();
  return text;
}
