// Package sources pins, with checksums, the Go modules from whose folders the tests and the demo take C sources.
// It is never built: the folder of a module is asked for with `go mod download -json`, run here.
package sources

import (
	_ "github.com/DataDog/zstd"     // zstd's C sources: *.c, zstd.h
	_ "github.com/mattn/go-sqlite3" // SQLite's amalgamation: sqlite3-binding.c, sqlite3-binding.h
)
