package main

import (
	"os"
	"syscall"
)

// shutdown ends accept on a listening socket in whatever thread waits in it.
func shutdown(listener *os.File) error {
	return syscall.Shutdown(int(listener.Fd()), syscall.SHUT_RDWR)
}
