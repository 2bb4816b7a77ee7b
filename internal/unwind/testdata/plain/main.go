// Command plain is a program without C++: nothing but package unwind makes it link or
// load the unwinder.
package main

/*
#include <execinfo.h>
static int depth(void) { void *frames[8]; return backtrace(frames, 8); }
*/
import "C"

import (
	"fmt"
	"os"

	"livejit/internal/unwind"
)

func main() {
	r, err := unwind.NewRegion(0x5000_0000_0000, 0x5000_4000_0000)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if n := C.depth(); n < 1 {
		fmt.Fprintln(os.Stderr, "backtrace finds no frame")
		os.Exit(1)
	}
	if err := r.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
