// compile.cpp: one translation unit through clang's front end.
//
// The symbols of libclang-cpp come through imports.S, which can carry functions only: this file derives from no class of
// clang and names none of its variables (a vtable or type information would be one; the build fails then).
#include "declarations.h"
#include "invocation.h"
#include "shim.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "clang/Basic/DiagnosticOptions.h"
#include "clang/Basic/FileEntry.h"
#include "clang/Basic/SourceManager.h"
#include "clang/CodeGen/CodeGenAction.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/TextDiagnosticPrinter.h"
#include "clang/FrontendTool/Utils.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/VirtualFileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace clang;

namespace {

// What one compile works on. After a fatal error it is left alone: what clang's frames held of it is unknown.
struct Job {
  llvm::ArrayRef<const char *> args;
  llvm::ArrayRef<lj_clang_file> files;
  std::string messages;
  llvm::SmallVector<char, 0> bitcode;
  std::string read;
  std::string declared;
  bool wantsDeclarations = false;
  bool ok = false;
};

// The file system with the files in memory laid over the disk's.
llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> fileSystem(llvm::ArrayRef<lj_clang_file> files) {
  auto disk = llvm::vfs::getRealFileSystem();
  if (files.empty()) return disk;
  auto over = llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(disk);
  auto memory = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  if (auto dir = disk->getCurrentWorkingDirectory()) memory->setCurrentWorkingDirectory(*dir);
  for (auto &f : files) memory->addFile(f.path, 0, llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(f.text, f.size), f.path));
  over->pushOverlay(memory);
  return over;
}

// Runs the action as CompilerInstance::ExecuteAction does, and has a look at the syntax tree before it goes.
bool execute(Job &job, CompilerInstance &instance, FrontendAction &action) {
  if (!action.PrepareToExecute(instance) || !instance.createTarget()) return false;
  for (const FrontendInputFile &file : instance.getFrontendOpts().Inputs) {
    if (!action.BeginSourceFile(instance, file)) return false;
    if (llvm::Error err = action.Execute()) llvm::consumeError(std::move(err)); // clang has said it
    if (job.wantsDeclarations && instance.hasASTContext()) job.declared = declarations(instance.getASTContext());
    action.EndSourceFile();
  }
  return !instance.getDiagnostics().hasErrorOccurred();
}

void compile(void *arg) {
  Job &job = *static_cast<Job *>(arg);
  llvm::raw_string_ostream out(job.messages);
  auto fs = fileSystem(job.files);

  DiagnosticOptions driverOptions;
  driverOptions.ShowColors = false;
  CreateInvocationOptions how;
  how.VFS = fs;
  how.Diags = CompilerInstance::createDiagnostics(*fs, driverOptions, new TextDiagnosticPrinter(out, driverOptions), true);
  std::shared_ptr<CompilerInvocation> invocation = invocationOf(job.args, how, job.messages);
  bool wrongFlags = how.Diags->hasErrorOccurred();
  how.Diags = nullptr;
  if (!invocation || wrongFlags) return;
  invocation->getFrontendOpts().DisableFree = false;
  invocation->getCodeGenOpts().DisableFree = false;
  invocation->getCodeGenOpts().ClearASTBeforeBackend = !job.wantsDeclarations;
  invocation->getDiagnosticOpts().ShowColors = false;

  CompilerInstance instance(std::move(invocation));
  instance.setVirtualFileSystem(fs);
  instance.createDiagnostics(new TextDiagnosticPrinter(out, instance.getDiagnosticOpts()), true);
  instance.setVerboseOutputStream(out);
  llvm::LLVMContext context;
  if (instance.getFrontendOpts().ProgramAction == frontend::GeneratePCH) {
    job.ok = ExecuteCompilerInvocation(&instance);
  } else {
    CodeGenAction *made = new EmitLLVMOnlyAction(&context);
    asm("" : "+r"(made)); // else the compiler knows the class and wants its vtable for the destructor
    std::unique_ptr<CodeGenAction> action(made);
    job.ok = execute(job, instance, *action);
    if (job.ok) {
      std::unique_ptr<llvm::Module> module = action->takeModule();
      job.ok = module != nullptr;
      if (module) {
        llvm::raw_svector_ostream os(job.bitcode);
        llvm::WriteBitcodeToFile(*module, os);
      }
    }
  }
  if (instance.hasSourceManager()) {
    auto &sm = instance.getSourceManager();
    for (auto it = sm.fileinfo_begin(); it != sm.fileinfo_end(); ++it) {
      job.read += it->first.getName().str();
      job.read.push_back('\0');
    }
  }
}

char *copy(const char *p, size_t n) {
  char *c = static_cast<char *>(malloc(n + 1));
  if (!c) abort();
  if (n) memcpy(c, p, n);
  c[n] = 0;
  return c;
}

} // namespace

extern "C" {

lj_clang_result lj_clang_compile(const char *const *args, size_t nargs, const lj_clang_file *files, size_t nfiles, int declarations,
                                 lj_land_fn land) {
  static const bool ready = [] { // for inline assembly
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)ready;
  auto *job = new Job;
  job->args = llvm::ArrayRef<const char *>(args, nargs);
  job->files = llvm::ArrayRef<lj_clang_file>(files, nfiles);
  job->wantsDeclarations = declarations;
  lj_clang_result r = {};
  char fatal[512] = "";
  if (!land(compile, job, fatal, sizeof fatal)) {
    r.kind = LJ_CLANG_FATAL;
    std::string text = std::string("fatal error: clang gave up: ") + fatal + "\n";
    r.messages = copy(text.data(), r.messages_size = text.size());
    return r; // the job stays: its state is unknown
  }
  r.kind = job->ok ? LJ_CLANG_OK : LJ_CLANG_ERRORS;
  r.bitcode = copy(job->bitcode.data(), r.bitcode_size = job->bitcode.size());
  r.messages = copy(job->messages.data(), r.messages_size = job->messages.size());
  r.files = copy(job->read.data(), r.files_size = job->read.size());
  r.declarations = copy(job->declared.data(), r.declarations_size = job->declared.size());
  delete job;
  return r;
}

void lj_clang_result_free(lj_clang_result *r) {
  free(r->bitcode);
  free(r->messages);
  free(r->files);
  free(r->declarations);
}

} // extern "C"
