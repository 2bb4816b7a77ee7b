package crt

// #include <signal.h>
// static void lj_default_signal(int n) { signal(n, SIG_DFL); }
import "C"

import "syscall"

// taken are the signals whose handlers Go's runtime installs and can do without while a native program runs: it would ignore those of the first row, which end
// a C program, and answer those of the second with a dump of goroutines. SIGURG and SIGPROF stay Go's, and so do those it obeys by ending
// (SIGHUP, SIGINT, SIGTERM) and libc's own real-time signals.
var taken = []syscall.Signal{
	syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGSTKFLT,
	syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL,
}

// DefaultSignals gives the signals of taken their default actions, for a process whose purpose is one native program.
func DefaultSignals() {
	for _, n := range taken {
		C.lj_default_signal(C.int(n))
	}
}
