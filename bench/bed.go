package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"livejit/internal/csources"
)

// options of the side by side.
type options struct {
	rounds       int
	replacements int
	json         bool
}

// bed is where rows are measured: the peers, this program for livejit's side, and a folder for files.
type bed struct {
	options
	root   string            // of the source tree
	dir    string            // removed at the end
	self   string            // this program; livejit's side runs in a process of its own, as the peers do
	peers  map[string]string // name → program
	cached map[string]map[string][]float64
}

func newBed(ctx context.Context, o options) (*bed, error) {
	b := &bed{options: o, peers: map[string]string{}, cached: map[string]map[string][]float64{}}
	var err error
	if b.root, err = csources.Root(); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, name := range []string{"orc", "mcjit", "link"} {
		if b.peers[name], err = b.build(ctx, name); err != nil {
			return nil, err
		}
	}
	b.dir, err = os.MkdirTemp("", "livejit-bench-")
	return b, err
}

// build compiles a peer against LLVM 22, once for each state of its source.
func (b *bed) build(ctx context.Context, name string) (string, error) {
	folder := filepath.Join(b.root, "bench", "peers")
	hash := sha256.New()
	for _, file := range []string{name + ".cpp", "peer.h"} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return "", err
		}
		hash.Write(text)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	program := filepath.Join(cache, name+"-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintf(os.Stderr, "bench: building peer %s\n", name)
	config, err := output(ctx, "llvm-config-22", "--cppflags", "--ldflags", "--libs")
	if err != nil {
		return "", err
	}
	building := program + "." + strconv.Itoa(os.Getpid())
	args := append([]string{"-O2", "-std=c++17", "-fno-rtti", "-fno-exceptions", filepath.Join(folder, name+".cpp"), "-o", building},
		strings.Fields(config)...)
	if _, err := output(ctx, "clang++-22", args...); err != nil {
		return "", err
	}
	return program, os.Rename(building, program)
}

// output runs a program and returns what it prints; its error carries the program's own words.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) && len(failed.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return string(out), err
}

// figureOf is a side that runs a program which prints lines "NAME VALUE". Rows that ask the same program for different
// names share its runs: the n-th question of each gets the n-th run.
func (b *bed) figureOf(figure, program string, args ...string) func(context.Context) (float64, error) {
	key, asked := program+" "+strings.Join(args, " "), 0
	return func(ctx context.Context) (float64, error) {
		if b.cached[key] == nil {
			b.cached[key] = map[string][]float64{}
		}
		known := b.cached[key]
		if asked == len(known[figure]) {
			out, err := output(ctx, program, args...)
			if err != nil {
				return 0, err
			}
			for line := range strings.Lines(out) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				if v, err := strconv.ParseFloat(value, 64); err == nil {
					known[name] = append(known[name], v)
				}
			}
		}
		if asked >= len(known[figure]) {
			return 0, fmt.Errorf("%s does not tell %q", filepath.Base(program), figure)
		}
		asked++
		return known[figure][asked-1], nil
	}
}

// worker is livejit's side: this program started anew.
func (b *bed) worker(figure string, args ...string) side {
	return side{"livejit", b.figureOf(figure, b.self, append([]string{"-worker"}, args...)...)}
}

// wall is a side that tells how long a program runs, in ms, the least of some runs.
func wall(name string, runs int, program string, args ...string) side {
	return side{name, func(ctx context.Context) (float64, error) {
		least := time.Duration(1 << 62)
		for range runs {
			start := time.Now()
			if _, err := output(ctx, program, args...); err != nil {
				return 0, err
			}
			least = min(least, time.Since(start))
		}
		return ms(least), nil
	}}
}
