package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"livejit"
)

const (
	keptTransactions = 512 // by the timeline
	keptVerdicts     = 24  // of each, those first that say most
	longestText      = 400 // bytes of an error or reason
	batchInterval    = 100 * time.Millisecond
	largestBatch     = 128 // transactions in one message
	maxStreams       = 32
)

// transaction is what the timeline keeps of a livejit.Event.
type transaction struct {
	Number    uint64            `json:"number"`
	Time      time.Time         `json:"time"`
	Operation livejit.Operation `json:"operation"`
	Subjects  []string          `json:"subjects"`
	More      int               `json:"more_subjects"` // that were left out
	Outcomes  map[string]int    `json:"outcomes"`      // number of verdicts by outcome
	Verdicts  []verdict         `json:"verdicts"`      // at most 24
	Duration  livejit.Stages    `json:"duration"`
	Error     string            `json:"error,omitempty"`
}

// verdict is a livejit.Verdict with its name as in the source.
type verdict struct {
	livejit.Verdict
	Title string `json:"title"`
}

// timeline holds the last transactions of an engine. Memory is bounded, however many come.
type timeline struct {
	mu      sync.Mutex
	list    []transaction // in order, at most keptTransactions; in a ring once it is full
	next    int           // where in list the next goes once it is full
	last    uint64        // number of the newest
	changed chan struct{} // closed when something comes
	closed  bool          // so is the engine
	streams int
}

// follow keeps a timeline of the engine until that is closed.
func follow(eng *livejit.Engine) *timeline {
	t := &timeline{changed: make(chan struct{})}
	flow := eng.Events(keptTransactions)
	go func() {
		for event := range flow.C() {
			t.add(shorten(event))
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.closed = true
		close(t.changed)
	}()
	return t
}

func (t *timeline) add(x transaction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) < keptTransactions {
		t.list = append(t.list, x)
	} else {
		t.list[t.next] = x
		t.next = (t.next + 1) % keptTransactions
	}
	t.last = x.Number
	close(t.changed)
	t.changed = make(chan struct{})
}

// since returns at most limit transactions, the newest, with numbers above after; a channel that is
// closed when there are more; and whether that will never be.
func (t *timeline) since(after uint64, limit int) (list []transaction, changed chan struct{}, closed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.list {
		if x := t.list[(t.next+i)%len(t.list)]; x.Number > after {
			list = append(list, x)
		}
	}
	return list[max(0, len(list)-limit):], t.changed, t.closed
}

// shorten makes what is kept of an event.
func shorten(event livejit.Event) transaction {
	x := transaction{Number: event.Number, Time: event.Time, Operation: event.Operation, Duration: event.Duration, Outcomes: make(map[string]int), Subjects: []string{}, Verdicts: []verdict{}}
	for i, s := range event.Subjects {
		if i == 4 {
			x.More = len(event.Subjects) - i
			break
		}
		x.Subjects = append(x.Subjects, short(s))
	}
	keep := func(wanted func(livejit.Outcome) bool) {
		for _, v := range event.Verdicts {
			if len(x.Verdicts) < keptVerdicts && wanted(v.Outcome) {
				v.Reason = short(v.Reason)
				x.Verdicts = append(x.Verdicts, verdict{v, livejit.Demangle(v.Function)})
			}
		}
	}
	quiet := func(o livejit.Outcome) bool { return o == livejit.Unchanged || o == livejit.Kept }
	keep(func(o livejit.Outcome) bool { return o == livejit.Refused })
	keep(func(o livejit.Outcome) bool { return o != livejit.Refused && !quiet(o) })
	keep(quiet)
	for _, v := range event.Verdicts {
		x.Outcomes[v.Outcome.String()]++
	}
	if event.Err != nil {
		x.Error = short(event.Err.Error())
	}
	return x
}

func short(s string) string {
	if len(s) > longestText {
		return s[:longestText] + "…"
	}
	return s
}

// eventsAnswer is what /api/events and each message of the stream say.
type eventsAnswer struct {
	Last         uint64        `json:"last"`   // number of the newest transaction of the engine
	Missed       uint64        `json:"missed"` // transactions after the one asked for that are not kept any more
	Transactions []transaction `json:"transactions"`
}

// batchSince is what there is after a number.
func (h *handler) batchSince(after uint64, limit int) (eventsAnswer, chan struct{}, bool) {
	list, changed, closed := h.line.since(after, limit)
	a := eventsAnswer{Last: after, Transactions: list}
	if n := len(list); n > 0 {
		a.Last = list[n-1].Number
		if after > 0 {
			a.Missed = a.Last - after - uint64(n)
		}
	} else {
		a.Transactions = []transaction{}
	}
	return a, changed, closed
}

func afterOf(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID") // of a stream that was interrupted
	if text == "" {
		text = r.FormValue("after")
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &requestError{http.StatusBadRequest, fmt.Sprintf("after=%q is not the number of a transaction", text)}
	}
	return n, nil
}

// events serves /api/events.
func (h *handler) events(r *http.Request) (any, error) {
	after, err := afterOf(r)
	if err != nil {
		return nil, err
	}
	a, _, _ := h.batchSince(after, keptTransactions)
	return a, nil
}

// stream serves /api/events/stream as server-sent events (HTML standard, section 9.2): a
// message at most every 100 ms, with at most 128 transactions, so that neither side has to hold what comes
// faster than it can be read.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	after, err := afterOf(r)
	if err != nil {
		failure(w, statusOf(err), err)
		return
	}
	if !h.line.enter() {
		failure(w, http.StatusServiceUnavailable, fmt.Errorf("%d viewers follow the events already", maxStreams))
		return
	}
	defer h.line.leave()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	write := func(text string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // where it is not supported, the server's own holds
		if _, err := fmt.Fprint(w, text); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if !write("retry: 1000\n\n") {
		return
	}
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for {
		a, changed, closed := h.batchSince(after, largestBatch)
		if len(a.Transactions) > 0 {
			after = a.Last
			text, err := json.Marshal(a)
			if err != nil || !write(fmt.Sprintf("id: %d\nevent: transactions\ndata: %s\n\n", a.Last, text)) {
				return
			}
		}
		if closed {
			write("event: closed\ndata: {}\n\n")
			return
		}
		select {
		case <-time.After(batchInterval):
		case <-r.Context().Done():
			return
		}
		select {
		case <-changed:
		case <-alive.C:
			if !write(": alive\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (t *timeline) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams >= maxStreams {
		return false
	}
	t.streams++
	return true
}

func (t *timeline) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams--
}
