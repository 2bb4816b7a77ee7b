// Command service replaces the handler of a TCP service in C under load: clients send requests as
// fast as they can, while the function that answers them is replaced again and again. No
// request fails, none is answered by half of one version and half of another, and no
// connection is closed.
//
//	go run ./examples/service
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"livejit"
	"livejit/clang"
)

//go:embed program/service.c
var program string

func main() {
	if _, err := run(os.Stdout, 8, 100, 10*time.Millisecond); err != nil {
		fmt.Fprintf(os.Stderr, "service: %+v\n", err)
		os.Exit(1)
	}
}

// figures are what a run counts.
type figures struct{ requests, failed, replaced, seen int }

// run serves clients and replaces the handler, with a pause after each time.
func run(out io.Writer, clients, replacements int, pause time.Duration) (n figures, err error) {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	if _, err := eng.Add(ctx, source(1)); err != nil {
		return n, err
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return n, err
	}
	file, err := listener.File() // a duplicate, for native code
	if err != nil {
		return n, errors.Join(err, listener.Close())
	}
	defer file.Close()
	served := make(chan error, 1)
	go func() {
		_, err := eng.Call(ctx, "run", int32(file.Fd()))
		served <- err
	}()

	stop := make(chan struct{})
	var load sync.WaitGroup
	counts := make([]figures, clients)
	versions := make([]map[string]bool, clients)
	for c := range clients {
		versions[c] = map[string]bool{}
		load.Go(func() { counts[c] = request(listener.Addr().String(), c, stop, versions[c]) })
	}
	for v := 2; v < 2+replacements; v++ {
		result, failed := eng.Replace(ctx, source(v))
		if failed != nil {
			err = failed
			break
		}
		n.replaced++
		if v%25 == 0 {
			fmt.Fprintf(out, "version %d of handle: swapped in %v\n", v, result.Duration.Link)
		}
		time.Sleep(pause)
	}
	close(stop)
	load.Wait()
	all := map[string]bool{}
	for c := range clients {
		n.requests += counts[c].requests
		n.failed += counts[c].failed
		for v := range versions[c] {
			all[v] = true
		}
	}
	n.seen = len(all)
	fmt.Fprintf(out, "%d requests on %d connections, %d failed; %d replacements, answers of %d versions\n", n.requests, clients, n.failed, n.replaced, n.seen)
	err = errors.Join(err, shutdown(file))
	return n, errors.Join(err, listener.Close(), <-served)
}

// source is the service with version v of the handler.
func source(v int) livejit.Source {
	text := strings.ReplaceAll(program, `"1 %s 1\n"`, fmt.Sprintf(`"%d %%s %d\n"`, v, v))
	return clang.Source("service.c", text, clang.Options{})
}

// request sends requests on one connection until stop is closed. versions takes the versions that
// have answered. An answer that is not its request between two equal numbers has failed.
func request(address string, client int, stop <-chan struct{}, versions map[string]bool) (n figures) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		n.failed++
		return n
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	for {
		select {
		case <-stop:
			return n
		default:
		}
		text := fmt.Sprintf("client %d request %d", client, n.requests)
		n.requests++
		if _, err := fmt.Fprintln(conn, text); err != nil {
			n.failed++
			return n
		}
		reply, err := replies.ReadString('\n')
		before, rest, _ := strings.Cut(strings.TrimSpace(reply), " ")
		if err != nil || rest != text+" "+before {
			n.failed++
		}
		if err != nil {
			return n
		}
		versions[before] = true
	}
}
