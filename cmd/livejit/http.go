package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"livejit"
	"livejit/inspect"
)

// shownVersions is how many old versions of each function --http keeps for showing.
const shownVersions = 8

// serve shows the engine in the browser at an address, as long as the process lives. An address that
// other machines can reach is leave for them to look.
func serve(address string, eng *livejit.Engine) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	var options []inspect.Option
	if at := listener.Addr().(*net.TCPAddr); !at.IP.IsLoopback() {
		options = append(options, inspect.AllowRemote())
		fmt.Fprintf(os.Stderr, "livejit: warning: whoever can reach %s sees the program's code\n", at)
	}
	fmt.Fprintf(os.Stderr, "inspector: http://%s/\n", listener.Addr())
	server := &http.Server{Handler: inspect.Handler(eng, options...), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		err := server.Serve(listener)
		fmt.Fprintf(os.Stderr, "livejit: inspector: %v\n", err)
	}()
	return nil
}
