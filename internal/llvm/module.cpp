// module.cpp: reading and writing modules.
#include "state.h"
#include "cut.h"

#include "llvm-c/Core.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/BinaryFormat/Dwarf.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/AutoUpgrade.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/Metadata.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

lj_mod::lj_mod(lj_ctx *c, StringRef n, std::unique_ptr<Module> m) : ctx(c), name(n.str()), module(std::move(m)) {
  c->modules++;
  lj::counters.modules++;
}

lj_mod::~lj_mod() = default;

namespace lj {

void giveModule(lj_ctx *c, StringRef name, std::unique_ptr<Module> m, lj_result &r) {
  r.handle = new lj_mod(c, name, std::move(m));
}

namespace {

// A module without a data layout gets the host's before types are laid out by it, unless it is for another architecture.
// Layouts of earlier versions are brought up to date (the bitcode reader has done so already).
std::optional<std::string> layoutFor(StringRef triple, StringRef layout) {
  if (!layout.empty()) return UpgradeDataLayoutString(layout, triple.empty() ? host().triple.str() : triple.str());
  if (!triple.empty() && Triple(triple).getArch() != host().triple.getArch()) return std::nullopt;
  return host().layout.getStringRepresentation();
}

// LLVM's parser recurses over brackets; more than this many open at once would use up the stack.
constexpr size_t maxNesting = 2000;

// The line (from 1) where more than maxNesting brackets are open, 0 if none.
size_t tooDeep(StringRef text) {
  size_t depth = 0, line = 1;
  for (size_t i = 0; i < text.size(); i++) {
    switch (text[i]) {
    case '\n': line++; break;
    case ';':
      while (i + 1 < text.size() && text[i + 1] != '\n') i++;
      break;
    case '"': {
      size_t end = text.find('"', i + 1);
      if (end == StringRef::npos) return 0;
      line += text.slice(i, end).count('\n');
      i = end;
      break;
    }
    case '(': case '[': case '{': case '<':
      if (++depth > maxNesting) return line;
      break;
    case ')': case ']': case '}': case '>':
      if (depth) depth--;
      break;
    }
  }
  return 0;
}

void parseText(lj_ctx *c, StringRef name, StringRef text, lj_result &r) {
  if (size_t line = tooDeep(text)) {
    r.kind = complain(c, LJ_PARSE, "brackets nested too deeply");
    c->diags.back().line = uint32_t(line);
    return;
  }
  auto buffer = MemoryBuffer::getMemBufferCopy(text, name); // the lexer wants a NUL at the end
  auto m = std::make_unique<Module>(name, c->context);
  SMDiagnostic err;
  if (parseAssemblyInto(*buffer, m.get(), nullptr, err, nullptr, layoutFor)) {
    c->diags.push_back(fromSourceMgr(err, name));
    r.kind = LJ_PARSE;
    return;
  }
  if (!verify(c, *m)) {
    r.kind = LJ_VERIFY;
    return;
  }
  giveModule(c, name, std::move(m), r);
}

void readBitcode(lj_ctx *c, StringRef name, StringRef data, bool trusted, lj_result &r) {
  ParserCallbacks callbacks([](StringRef t, StringRef l) { return layoutFor(t, l); });
  auto m = parseBitcodeFile(MemoryBufferRef(data, name), c->context, callbacks);
  if (!m) {
    std::string message = toString(m.takeError());
    // The reader reports errors through the context as well.
    if (c->diags.empty()) complain(c, LJ_PARSE, message);
    r.kind = LJ_PARSE;
    return;
  }
  (*m)->setModuleIdentifier(name);
  if (!trusted && !verify(c, **m)) {
    r.kind = LJ_VERIFY;
    return;
  }
  giveModule(c, name, std::move(*m), r);
}

void writeBitcode(const Module &m, SmallVectorImpl<char> &out) {
  BitcodeWriter w(out);
  w.writeModule(m);
  w.writeStrtab();
}

} // namespace

bool verify(lj_ctx *c, Module &m) {
  bool brokenDebugInfo = false;
  std::string text;
  raw_string_ostream os(text);
  if (verifyModule(m, &os, &brokenDebugInfo)) {
    SmallVector<StringRef, 8> lines;
    StringRef(text).split(lines, '\n', -1, false);
    // A finding is a line of prose, and lines with the IR at fault, which are indented or start with a sigil.
    for (StringRef l : lines) {
      bool continues = !c->diags.empty() && (l.starts_with(" ") || l.starts_with("%") || l.starts_with("@") || l.starts_with("!") || l.starts_with("label"));
      if (continues) c->diags.back().message += ("\n" + l).str();
      else complain(c, LJ_VERIFY, l);
    }
    return false;
  }
  unsigned version = getDebugMetadataVersionFromModule(m); // not before: it trusts the module's flags
  if (version != 0 && version != DEBUG_METADATA_VERSION) {
    warn(c, "debug info of version " + Twine(version) + " dropped, LLVM 22 has version " + Twine(unsigned(DEBUG_METADATA_VERSION)));
    StripDebugInfo(m);
  } else if (brokenDebugInfo) {
    warn(c, "invalid debug info dropped: " + StringRef(text).split('\n').first);
    StripDebugInfo(m);
  } else if (version == 0) {
    StripDebugInfo(m); // debug metadata without a version is not debug info
  }
  return true;
}

} // namespace lj

extern "C" {

lj_result lj_parse_ir(lj_ctx *c, const char *name, size_t nameLen, const char *text, size_t textLen) {
  StringRef n(name, nameLen), t(text, textLen);
  return lj::guarded(c, nullptr, n, [&](lj_result &r) { lj::parseText(c, n, t, r); });
}

lj_result lj_parse_bitcode(lj_ctx *c, const char *name, size_t nameLen, const char *data, size_t size, int trusted) {
  StringRef n(name, nameLen), d(data, size);
  return lj::guarded(c, nullptr, n, [&](lj_result &r) { lj::readBitcode(c, n, d, trusted != 0, r); });
}

lj_result lj_adopt(lj_ctx *c, void *moduleRef, const char *name, size_t nameLen) {
  StringRef n(name, nameLen);
  return lj::guarded(c, nullptr, n, [&](lj_result &r) {
    SmallVector<char, 0> bitcode;
    lj::writeBitcode(*unwrap(static_cast<LLVMModuleRef>(moduleRef)), bitcode);
    lj::readBitcode(c, n, StringRef(bitcode.data(), bitcode.size()), false, r);
  });
}

void *lj_module_ref(lj_mod *m) { return wrap(m->module.get()); }

lj_result lj_verify(lj_mod *m) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    if (!lj::verify(m->ctx, *m->module)) r.kind = LJ_VERIFY;
  });
}

lj_result lj_bitcode(lj_mod *m) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    SmallVector<char, 0> out;
    lj::writeBitcode(*m->module, out);
    r.bytes = lj::copyBytes(StringRef(out.data(), out.size()));
  });
}

lj_result lj_text(lj_mod *m) {
  return lj::guarded(m->ctx, nullptr, m->name, [&](lj_result &r) {
    std::string out;
    raw_string_ostream os(out);
    m->module->print(os, nullptr);
    r.bytes = lj::copyBytes(out);
  });
}

lj_result lj_module_triple(lj_mod *m) {
  return lj::guarded(m->ctx, nullptr, m->name,
                     [&](lj_result &r) { r.bytes = lj::copyBytes(m->module->getTargetTriple().str()); });
}

} // extern "C"
