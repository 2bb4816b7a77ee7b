package repl

import (
	"context"
	"errors"
)

// The addresses where :inspect serves unless one is given: the second is a port that is free.
const usualAddress, freeAddress = "127.0.0.1:8077", "127.0.0.1:0"

// inspector is the page that shows the program in a browser, while it is served.
type inspector struct {
	address string // as it was asked for
	url     string
	stop    func() error
}

// inspect does the command.
func (s *Session) inspect(_ context.Context, argument string) error {
	switch {
	case s.config.Inspect == nil:
		return errors.New("there is no inspector here")
	case argument == "off" && s.inspector == nil:
		return errors.New("the inspector is not served")
	case argument == "off":
		s.note("the inspector at %s has ended", s.inspector.url)
		return s.uninspect()
	case s.inspector != nil && (argument == "" || argument == s.inspector.address):
		s.answer("%s", s.inspector.url)
		return nil
	}
	address := argument
	if address == "" {
		address = usualAddress
	}
	url, stop, err := s.config.Inspect(address, s.engine)
	if err != nil && argument == "" {
		address = freeAddress
		url, stop, err = s.config.Inspect(address, s.engine)
	}
	if err != nil {
		return err // an inspector that is served goes on
	}
	err = s.uninspect()
	s.inspector = &inspector{address, url, stop}
	s.answer("%s", url)
	return err
}

// uninspect ends the inspector, if it is served.
func (s *Session) uninspect() error {
	if s.inspector == nil {
		return nil
	}
	stop := s.inspector.stop
	s.inspector = nil
	return stop()
}
