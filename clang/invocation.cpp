// invocation.cpp: the driver, and what it has made of earlier command lines.
#include "invocation.h"

#include <map>
#include <mutex>
#include <vector>

#include <unistd.h>

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace clang;

namespace {

// The front end's arguments for one command line; where an argument is the name of the source, or that without its folder, it is empty.
struct Kept {
  std::vector<std::string> args;
  std::vector<size_t> names, files;
};

// More command lines than this are not kept at a time: those of one session differ in a few flags.
constexpr size_t maxKept = 64;

struct Cache {
  std::mutex mutex; // held for the map only, never while clang runs
  std::map<std::string, std::shared_ptr<const Kept>> kept;
};

Cache &cache() {
  static Cache *c = new Cache; // no destructor: compiles may outlive exit
  return *c;
}

// All that the driver's answer depends on, but for the name of the source and what is installed; empty if it cannot be said.
std::string keyOf(llvm::ArrayRef<const char *> args) {
  std::string key;
  for (const char *a : args.drop_back()) {
    if (llvm::StringRef(a).starts_with("--config")) return "";
    key.append(a).push_back('\0');
  }
  llvm::SmallString<256> dir;
  if (llvm::sys::fs::current_path(dir)) return "";
  key.append(dir.begin(), dir.end());
  for (char **e = environ; e && *e; e++) key.append(1, '\0').append(*e);
  return key;
}

std::shared_ptr<const Kept> find(const std::string &key) {
  std::lock_guard<std::mutex> lock(cache().mutex);
  auto it = cache().kept.find(key);
  return it == cache().kept.end() ? nullptr : it->second;
}

void keep(const std::string &key, llvm::StringRef name, const std::vector<std::string> &args) {
  auto kept = std::make_shared<Kept>();
  llvm::StringRef file = llvm::sys::path::filename(name);
  for (size_t i = 0; i < args.size(); i++) {
    bool isFile = i > 0 && args[i - 1] == "-main-file-name" && args[i] == file;
    bool isName = i + 1 == args.size() && args[i] == name;
    if (isFile) kept->files.push_back(i);
    else if (isName) kept->names.push_back(i);
    else if (llvm::StringRef(args[i]).contains(file)) return;
    kept->args.push_back(isFile || isName ? std::string() : args[i]);
  }
  if (kept->names.size() != 1 || file.empty()) return;
  std::lock_guard<std::mutex> lock(cache().mutex);
  if (cache().kept.size() >= maxKept) cache().kept.clear();
  cache().kept[key] = std::move(kept);
}

} // namespace

std::shared_ptr<CompilerInvocation> invocationOf(llvm::ArrayRef<const char *> args, CreateInvocationOptions how, const std::string &messages) {
  llvm::StringRef name = args.back();
  std::string key = keyOf(args);
  auto kept = key.empty() ? nullptr : find(key);
  if (!kept) {
    std::vector<std::string> made;
    how.CC1Args = &made;
    auto diags = how.Diags;
    auto invocation = createInvocation(args, std::move(how));
    if (invocation && !key.empty() && messages.empty() && !diags->hasErrorOccurred()) keep(key, name, made);
    return invocation;
  }
  std::vector<const char *> line;
  for (auto &a : kept->args) line.push_back(a.c_str());
  std::string file = llvm::sys::path::filename(name).str();
  for (size_t i : kept->files) line[i] = file.c_str();
  for (size_t i : kept->names) line[i] = args.back();
  auto invocation = std::make_shared<CompilerInvocation>();
  // As createInvocation, which goes on after an error only if it is asked to.
  if (!CompilerInvocation::CreateFromArgs(*invocation, line, *how.Diags, args[0])) return nullptr;
  return invocation;
}
