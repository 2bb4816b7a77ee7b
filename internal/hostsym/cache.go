package hostsym

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
)

// The dynamic linker's cache (glibc sysdeps/generic/dl-cache.h, struct cache_file_new): a header of 48 bytes and entries of 24; string offsets count
// from the header. An older format may stand before it, 8-aligned.
const (
	cacheMagic      = "glibc-ld.so.cache1.1"
	cacheHeaderSize = 48
	cacheEntrySize  = 24
)

// newestInCache returns the path of the highest-numbered stem.N ("libz.so" + ".1") for this machine, or "". Broken caches have no entries.
func newestInCache(data []byte, stem string) string {
	start := bytes.Index(data, []byte(cacheMagic))
	if start < 0 || len(data)-start < cacheHeaderSize {
		return ""
	}
	data = data[start:]
	// FLAG_ELF_LIBC6 with the machine's bits (dl-cache.h).
	want := map[string]uint32{"amd64": 0x0303, "arm64": 0x0a03}[runtime.GOARCH]
	count := binary.LittleEndian.Uint32(data[20:])
	best, bestPath := "", ""
	for i := uint64(0); i < uint64(count); i++ {
		at := cacheHeaderSize + i*cacheEntrySize
		if at+cacheEntrySize > uint64(len(data)) {
			break
		}
		entry := data[at:]
		if binary.LittleEndian.Uint32(entry) != want {
			continue
		}
		name, ok := cString(data, binary.LittleEndian.Uint32(entry[4:]))
		version, numbered := strings.CutPrefix(name, stem+".")
		if !ok || !numbered || version == "" || version[0] < '0' || version[0] > '9' {
			continue
		}
		path, ok := cString(data, binary.LittleEndian.Uint32(entry[8:]))
		if ok && path != "" && (best == "" || compareVersions(version, best) > 0) {
			best, bestPath = version, path
		}
	}
	return bestPath
}

func cString(data []byte, offset uint32) (string, bool) {
	if uint64(offset) >= uint64(len(data)) {
		return "", false
	}
	end := bytes.IndexByte(data[offset:], 0)
	if end < 0 {
		return "", false
	}
	return string(data[offset:][:end]), true
}

// compareVersions orders strings with numbers in them: 9 before 10.
func compareVersions(a, b string) int {
	digits := func(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))] }
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da != "" && db != "" {
			na, nb := strings.TrimLeft(da, "0"), strings.TrimLeft(db, "0")
			if len(na) != len(nb) {
				return len(na) - len(nb)
			}
			if c := strings.Compare(na, nb); c != 0 {
				return c
			}
			a, b = a[len(da):], b[len(db):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}
