// Package inspect shows a running engine in a web browser, and gives the same as JSON.
//
//	http.Handle("/debug/livejit/", http.StripPrefix("/debug/livejit", inspect.Handler(eng)))
//
// The page and all it needs are embedded; nothing is loaded from elsewhere. The endpoints and
// what they answer stand in docs/inspector.md.
//
// It shows machine code and source files of the program, so it answers only who may see them:
// requests from this machine (AllowRemote), by a name that no other site can have given to it
// (AllowHost), and from no other site's page. It changes nothing unless AllowChanges says so.
//
// All that is kept has a bound: the last 512 transactions, shortened. The engine never waits for a
// viewer. A handler is safe for concurrent use. It follows its engine until that is closed;
// then it answers every request for data with status 503.
package inspect

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"livejit"
)

//go:embed static
var static embed.FS

// Option sets up a handler; see Handler.
type Option func(*handler)

// AllowRemote answers requests from other machines, too. Whoever can reach the port then sees
// the program's code. Default: loopback addresses only.
func AllowRemote() Option { return func(h *handler) { h.remote = true } }

// AllowHost answers requests that name one of these hosts (without port), such as the
// name of a proxy. Default: localhost and IP addresses, which no site on the web can
// rebind to this machine.
func AllowHost(names ...string) Option {
	return func(h *handler) {
		for _, name := range names {
			h.hosts = append(h.hosts, strings.ToLower(name))
		}
	}
}

// AllowChanges lets viewers invalidate functions and wait for quiescence. Default: they can only look.
func AllowChanges() Option { return func(h *handler) { h.changes = true } }

// handler is what Handler returns.
type handler struct {
	eng     *livejit.Engine
	remote  bool
	hosts   []string
	changes bool
	line    *timeline
	mux     *http.ServeMux
}

// Handler returns an http.Handler that shows eng. Its paths begin with "/": mount it
// elsewhere with http.StripPrefix.
func Handler(eng *livejit.Engine, options ...Option) http.Handler {
	h := &handler{eng: eng, line: follow(eng), mux: http.NewServeMux()}
	for _, o := range options {
		o(h)
	}
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	h.mux.Handle("GET /", http.FileServerFS(files))
	for _, e := range endpoints {
		h.mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) {
			if eng.Closed() {
				failure(w, http.StatusServiceUnavailable, livejit.ErrClosed)
				return
			}
			e.serve(h, w, r)
		})
	}
	return h
}

// endpoints is what the handler answers besides the page. docs/inspector.md describes each.
var endpoints = []struct {
	pattern string
	serve   func(*handler, http.ResponseWriter, *http.Request)
}{
	{"GET /api/counters", answer((*handler).counters)},
	{"GET /api/events", answer((*handler).events)},
	{"GET /api/events/stream", (*handler).stream},
	{"GET /api/functions", answer((*handler).functions)},
	{"GET /api/function", answer((*handler).function)},
	{"GET /api/graph", answer((*handler).graph)},
	{"GET /api/memory", answer((*handler).memory)},
	{"GET /api/code", answer((*handler).code)},
	{"GET /api/stackmaps", answer((*handler).stackMaps)},
	{"POST /api/invalidate", answer((*handler).invalidate)},
	{"POST /api/quiesce", answer((*handler).quiesce)},
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if err := h.admit(r); err != nil {
		failure(w, http.StatusForbidden, err)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// answer makes an endpoint of a function that returns what is to be written as JSON.
func answer(f func(*handler, *http.Request) (any, error)) func(*handler, http.ResponseWriter, *http.Request) {
	return func(h *handler, w http.ResponseWriter, r *http.Request) {
		v, err := f(h, r)
		if err != nil {
			failure(w, statusOf(err), err)
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			failure(w, http.StatusInternalServerError, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // a viewer that has gone is no concern
	}
}

// statusOf is the HTTP status that an error of the engine means.
func statusOf(err error) int {
	var request *requestError
	var quiescence *livejit.QuiescenceError
	switch {
	case errors.As(err, &request):
		return request.status
	case errors.Is(err, livejit.ErrClosed):
		return http.StatusServiceUnavailable
	case errors.Is(err, livejit.ErrNotFound):
		return http.StatusNotFound
	case errors.As(err, &quiescence):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// requestError is what is wrong with a request.
type requestError struct {
	status int
	text   string
}

func (e *requestError) Error() string { return e.text }

// failure answers with an error as JSON: {"error": "..."}.
func failure(w http.ResponseWriter, status int, err error) {
	text, _ := json.Marshal(map[string]string{"error": err.Error()}) // a map of strings cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
