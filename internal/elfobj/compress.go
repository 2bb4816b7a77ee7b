package elfobj

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// decompressLimit bounds what the compressed sections of one file may grow to,
// in bytes. Debug sections shrink to a fifth at best; the limit is far from
// that, and keeps a hostile file from taking all memory.
func decompressLimit(fileSize int) uint64 { return 4<<20 + 64*uint64(fileSize) }

// chdrSize is the size of Elf64_Chdr: type, reserved word, size, alignment.
const chdrSize = 24

// errExtra says that a compressed stream goes on after the announced size.
var errExtra = errors.New("data is longer than its header says")

// decompressSections replaces the data of SHF_COMPRESSED sections by the plain
// data, so that relocations, which are against that, can be read.
func (r *reader) decompressSections() error {
	left := decompressLimit(len(r.data))
	for i := range r.file.Sections {
		s := &r.file.Sections[i]
		if s.Flags&elf.SHF_COMPRESSED == 0 {
			continue
		}
		if s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_ALLOC != 0 {
			return r.headerField(i, 0x08, "a section that is loaded or without content cannot be compressed")
		}
		switch s.Type {
		case elf.SHT_SYMTAB, elf.SHT_SYMTAB_SHNDX, elf.SHT_STRTAB, elf.SHT_GROUP, elf.SHT_RELA, elf.SHT_REL, SHT_CREL:
			return r.headerField(i, 0x08, "a section of type %v cannot be compressed", s.Type)
		}
		if len(s.Data) < chdrSize {
			return r.headerField(i, 0x20, "size %#x is too small for a compression header", len(s.Data))
		}
		kind := elf.CompressionType(binary.LittleEndian.Uint32(s.Data))
		size, align := binary.LittleEndian.Uint64(s.Data[8:]), binary.LittleEndian.Uint64(s.Data[16:])
		if size > left {
			return r.contentError(i, 8, "decompressed size %#x exceeds the limit for this file (%#x bytes in all)", size, decompressLimit(len(r.data)))
		}
		if !isAlignment(align) {
			return r.contentError(i, 16, "alignment %#x is not a power of two below 1<<47", align)
		}
		left -= size
		plain, err := r.inflater.inflate(kind, s.Data[chdrSize:], size)
		if err != nil {
			e := r.contentError(i, chdrSize, "decompress %#x bytes (%v)", size, kind).(*FormatError)
			e.Err = err
			return e
		}
		s.Data, s.Size, s.Align = plain, size, align
		s.Flags &^= elf.SHF_COMPRESSED
	}
	return nil
}

// inflater keeps the zstd decoder of a file, which is dear to make.
type inflater struct{ zstd *zstd.Decoder }

func (f *inflater) close() {
	if f.zstd != nil {
		f.zstd.Close()
	}
}

// inflate returns exactly size decompressed bytes of data.
func (f *inflater) inflate(kind elf.CompressionType, data []byte, size uint64) ([]byte, error) {
	switch kind {
	case elf.COMPRESS_ZLIB:
		return inflateZlib(data, size)
	case elf.COMPRESS_ZSTD:
		return f.inflateZstd(data, size)
	}
	return nil, errors.New("unknown compression type")
}

func inflateZlib(data []byte, size uint64) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain := make([]byte, size)
	if _, err := io.ReadFull(z, plain); err != nil {
		return nil, err
	}
	// The read that finds the end also verifies the checksum.
	var extra [1]byte
	if n, err := io.ReadFull(z, extra[:]); n != 0 {
		return nil, errExtra
	} else if err != io.EOF {
		return nil, err
	}
	return plain, nil
}

func (f *inflater) inflateZstd(data []byte, size uint64) ([]byte, error) {
	if f.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		f.zstd = d
	}
	plain, err := f.zstd.DecodeAll(data, make([]byte, 0, size))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, errExtra
	} else if err != nil {
		return nil, err
	}
	if uint64(len(plain)) != size {
		return nil, io.ErrUnexpectedEOF
	}
	return plain, nil
}
