package watch

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Keys reads single keys from a terminal. The terminal still shows output and sends signals as
// before; only lines and echo are off, until Restore.
type Keys struct {
	fd     int
	before unix.Termios
	once   sync.Once
}

// OpenKeys sets the terminal of f up. It returns nil if f is none, or if this process is not in its foreground.
func OpenKeys(f *os.File) *Keys {
	fd := int(f.Fd())
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return nil
	}
	k := &Keys{fd: fd, before: *state}
	state.Lflag &^= unix.ICANON | unix.ECHO
	state.Cc[unix.VMIN], state.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(fd, unix.TCSETS, state) != nil {
		return nil
	}
	return k
}

// Read returns the next key, and false at the end.
func (k *Keys) Read() (byte, bool) {
	var b [1]byte
	for {
		n, err := unix.Read(k.fd, b[:])
		if err == unix.EINTR {
			continue
		}
		return b[0], n == 1 && err == nil
	}
}

// Restore puts the terminal back as it was. It may be called any number of times, and on nil.
func (k *Keys) Restore() {
	if k != nil {
		k.once.Do(func() { _ = unix.IoctlSetTermios(k.fd, unix.TCSETS, &k.before) })
	}
}
