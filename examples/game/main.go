// Command game shows a game that is edited while it runs: a C file makes the pictures of an animation
// in the terminal, and every time the file is saved its functions are replaced under the
// game, which goes on from where it was. A file that does not compile is said below the picture.
//
//	cp examples/game/program/ball.c /tmp/ball.c && go run ./examples/game /tmp/ball.c
//
// Ctrl-C ends it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
)

const width, height = 60, 18

func main() {
	path := "examples/game/program/ball.c"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, os.Stdout, path, 40*time.Millisecond); err != nil {
		fmt.Fprintf(os.Stderr, "game: %+v\n", err)
		os.Exit(1)
	}
}

// play shows one picture after the other until ctx ends.
func play(ctx context.Context, out io.Writer, path string, pause time.Duration) (err error) {
	eng, err := livejit.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	saved, err := os.Stat(path)
	if err != nil {
		return err
	}
	if _, err := eng.Add(ctx, clang.File(path, clang.Options{})); err != nil {
		return err
	}
	var frame func(picture *byte, width, height int32) error
	if err := eng.Bind("frame", &frame); err != nil {
		return err
	}
	picture := make([]byte, width*height)
	status := "edit " + path
	fmt.Fprint(out, "\x1b[2J")
	for ctx.Err() == nil {
		if now, err := os.Stat(path); err == nil && (now.ModTime() != saved.ModTime() || now.Size() != saved.Size()) {
			saved = now
			status = reload(eng, path)
		}
		if err := frame(&picture[0], width, height); err != nil {
			status = err.Error() // a fault ends the picture, not the game
		}
		var screen strings.Builder
		screen.WriteString("\x1b[H")
		for line := range height {
			fmt.Fprintf(&screen, "%s\n", picture[line*width:(line+1)*width])
		}
		fmt.Fprintf(&screen, "%s\x1b[J\n", status)
		if _, err := io.WriteString(out, screen.String()); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	return nil
}

// reload replaces what has changed in the file and says what it did.
func reload(eng *livejit.Engine, path string) string {
	result, err := eng.Replace(context.Background(), clang.File(path, clang.Options{}))
	if err != nil {
		return fmt.Sprintf("%+v", err)
	}
	var changed []string
	for _, v := range result.Verdicts {
		if v.Outcome != livejit.Unchanged {
			changed = append(changed, v.String())
		}
	}
	return fmt.Sprintf("%s in %v", strings.Join(changed, ", "), result.Duration.Link)
}
