package livejit

import (
	"context"
	"encoding/binary"
	"fmt"

	"livejit/internal/crt"
	"livejit/internal/guard"
	"livejit/internal/hostsym"
)

// WithArgs sets the arguments that constructors and Main see as argc and argv, the
// program's name first. Default: one empty name.
func WithArgs(args ...string) Option {
	return func(c *config) error { c.args = args; return nil }
}

// Main calls the function called entry as C calls main, with argc, argv (see WithArgs)
// and the environment, and returns its status. Stdio is not flushed and exit handlers do
// not run: that is for Exit, or Close, to do.
func (e *Engine) Main(ctx context.Context, entry string) (status int, err error) {
	f := e.Function(entry)
	if f == nil {
		return 0, fmt.Errorf("run %s: %w", entry, e.whyNotFound(entry))
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	frame := guard.GetFrame(0)
	defer frame.Put()
	e.setProgram(frame)
	if err := f.enter(ctx, frame); err != nil {
		return 0, err
	}
	return int(int32(frame.RetInt[0])), nil
}

// Exit ends the process as C's exit does: the exit handlers and destructors of everything
// loaded by any engine run, then those of the process, and stdio is flushed. It does not
// return, and deferred Go functions do not run.
func Exit(status int) { crt.Exit(status) }

// OnExit registers f to be called when the process ends by C's exit, whoever calls it,
// after the exit handlers of everything loaded. The error is a lack of memory.
func OnExit(f func()) error { return crt.OnExit(f) }

// DefaultSignals gives signals that Go's runtime has taken for itself their default
// actions, as a C program finds them: SIGPIPE, SIGALRM, SIGUSR1 and the like end the process
// again rather than being ignored, and a fault or abort ends it without a dump of
// goroutines. It is for commands whose purpose is one native program; a nil dereference in
// Go code ends the process, too, afterwards.
func DefaultSignals() { crt.DefaultSignals() }

// placeArguments lays argc's strings and the argv array out in data memory.
func (e *Engine) placeArguments() error {
	args := e.config.args
	if len(args) == 0 {
		args = []string{""}
	}
	size := 8 * (len(args) + 1)
	for _, a := range args {
		size += len(a) + 1
	}
	request := MemoryRequest{Section: "arguments", Kind: DataMemory, Size: uint64(size), Align: 8}
	span, err := e.memory.Allocate(request)
	if err != nil {
		return &MemoryError{Request: request, Err: err}
	}
	e.arguments = span
	block := make([]byte, 8*(len(args)+1), size)
	for i, a := range args {
		binary.NativeEndian.PutUint64(block[8*i:], span.RX+uint64(len(block)))
		block = append(append(block, a...), 0)
	}
	if err := e.memory.Write(span, 0, block); err != nil {
		return fmt.Errorf("livejit: write arguments: %w", err)
	}
	return nil
}

// setProgram puts argc, argv and envp into the first three argument registers.
func (e *Engine) setProgram(frame *guard.Frame) {
	frame.Int[0] = uint64(max(1, len(e.config.args)))
	frame.Int[1] = e.arguments.RX
	frame.Int[2] = e.environ()
}

// environ returns the process's environment as C has it now.
func (e *Engine) environ() uint64 {
	s, ok := hostsym.Lookup("environ")
	if !ok {
		return 0
	}
	return *(*uint64)(nativePointer(uint64(s.Addr)))
}
