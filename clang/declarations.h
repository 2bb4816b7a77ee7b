// declarations.h: what a translation unit declares, told as JSON; see Declaration in declarations.go.
#ifndef LIVEJIT_CLANG_DECLARATIONS_H
#define LIVEJIT_CLANG_DECLARATIONS_H

#include <string>

namespace clang {
class ASTContext;
}

// The declarations at file scope that are written in the main file, in their order, as a JSON array.
std::string declarations(clang::ASTContext &ctx);

#endif
