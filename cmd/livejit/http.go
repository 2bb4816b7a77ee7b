package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"livejit"
	"livejit/inspect"
)

// shownVersions is how many old versions of each function are kept for showing.
const shownVersions = 8

// serve shows the engine in the browser at an address until stop is called. An address that other machines
// can reach is leave for them to look.
func serve(address string, eng *livejit.Engine) (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	var options []inspect.Option
	if at := listener.Addr().(*net.TCPAddr); !at.IP.IsLoopback() {
		options = append(options, inspect.AllowRemote())
		fmt.Fprintf(os.Stderr, "livejit: warning: whoever can reach %s sees the program's code\n", at)
	}
	server := &http.Server{Handler: inspect.Handler(eng, options...), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(os.Stderr, "livejit: inspector: %v\n", err)
		}
	}()
	return "http://" + listener.Addr().String() + "/", server.Close, nil
}
