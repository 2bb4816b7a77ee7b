// invocation.h: the command line of the driver, turned into that of the front end.
#ifndef LIVEJIT_CLANG_INVOCATION_H
#define LIVEJIT_CLANG_INVOCATION_H

#include <memory>
#include <string>

#include "clang/Driver/CreateInvocationFromArgs.h"
#include "clang/Frontend/CompilerInvocation.h"

// Makes an invocation as clang::createInvocation does, whose last argument is the name of the source. messages is where how.Diags prints.
//
// The driver looks through the system for installed compilers and headers, which takes longer than translating a small function. So
// what it has made of a command line is kept, for the life of the process, and used again for the same arguments in the same
// working directory and environment, with the name of another source put in. Nothing is kept if the driver had something to say, if the
// name of the source is part of another argument, or if an argument names a file that the driver reads (--config).
// What is kept has no contents of any file: sources and headers are read each time. Any thread may call it at any time.
std::shared_ptr<clang::CompilerInvocation> invocationOf(llvm::ArrayRef<const char *> args, clang::CreateInvocationOptions how,
                                                        const std::string &messages);

#endif
