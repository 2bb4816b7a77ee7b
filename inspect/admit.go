package inspect

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// admit says why a request must not be answered, nil if it may. A page of another site can make a
// browser on this machine send requests: its Origin or Sec-Fetch-Site gives it away
// (Fetch standard, and W3C Fetch Metadata). It can also have its own name resolve to a loopback address
// (DNS rebinding): then the Host is that name.
func (h *handler) admit(r *http.Request) error {
	if !h.remote {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("refused: the request comes from %s, not from this machine", r.RemoteAddr)
		}
	}
	if !h.knownHost(r.Host) {
		return fmt.Errorf("refused: the request is for the host %q", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return fmt.Errorf("refused: the request was made by a page of %q", origin)
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet {
			return fmt.Errorf("refused: the request was made by a page of another site")
		}
	}
	return nil
}

// knownHost says whether a host is one that only this machine, or who set it up, can have
// given.
func (h *handler) knownHost(hostport string) bool {
	host := hostport
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if slices.Contains(h.hosts, host) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && (h.remote || address.Unmap().IsLoopback())
}
