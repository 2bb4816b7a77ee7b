package watch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"livejit"
)

// report says what became of a transaction, in one line for each function that was changed.
func (w *Watcher) report(units []*unit, result *livejit.Result, err error, front time.Duration) {
	if result == nil {
		if err != nil {
			w.refusal(err)
		}
		return
	}
	swap := result.Duration.Link
	unchanged := 0
	var replaced []livejit.Verdict
	for _, v := range result.Verdicts {
		switch {
		case v.Outcome == livejit.Unchanged:
			unchanged++
		case v.Outcome == livejit.Refused:
			w.say("refused: %s, restart needed", because(v))
		case err != nil: // nothing of this transaction was done
		case v.Outcome == livejit.Replaced:
			w.say("applied %s@%d (%s)%s", livejit.Demangle(v.Function), v.Version, short(swap), reason(v))
			replaced = append(replaced, v)
		default:
			w.say("%s", v)
		}
	}
	if err != nil {
		w.refusal(err)
		return
	}
	w.say("%s: %s unchanged (front end %s, code %s, swap %s)", names(units), count(unchanged),
		short(front), short(result.Duration.Total-swap), short(swap))
	w.reached(replaced)
}

// refusal says why a transaction was not applied.
func (w *Watcher) refusal(err error) {
	var refused *livejit.RefusedError
	var inUse *livejit.InUseError
	switch {
	case errors.As(err, &refused): // the verdicts said it
		w.say("not applied: %s", w.goesOn())
	case errors.As(err, &inUse):
		w.say("refused: %v", inUse)
		w.say("not applied: %s", w.goesOn())
	default:
		w.sayError(err)
		w.say("not applied: %s", w.goesOn())
	}
}

// reached says which functions go on as their old versions. A call that is under way
// returns soon as a rule; who is still inside after a moment is told.
func (w *Watcher) reached(replaced []livejit.Verdict) {
	if len(replaced) == 0 {
		return
	}
	time.Sleep(patience / 3)
	for _, v := range replaced {
		f := w.function(v)
		if f == nil {
			continue
		}
		for _, root := range f.WhyAlive() {
			if root.Kind == livejit.RootThread && root.Address != 0 {
				w.say("not yet reached: %s is running its old version until it returns", livejit.Demangle(v.Function))
				break
			}
		}
	}
}

// function finds what a verdict is about; static functions are known to their module only.
func (w *Watcher) function(v livejit.Verdict) *livejit.Function {
	for _, u := range w.units {
		if u.module != nil && u.module.Name() == v.Module {
			if f := u.module.Function(v.Function); f != nil {
				return f
			}
		}
	}
	return w.config.Engine.Function(v.Function)
}

func because(v livejit.Verdict) string {
	if v.Reason == "" {
		return livejit.Demangle(v.Function)
	}
	return livejit.Demangle(v.Function) + ": " + v.Reason
}

func reason(v livejit.Verdict) string {
	if v.Reason == "" {
		return ""
	}
	return ": " + v.Reason
}

func names(units []*unit) string {
	var list []string
	for _, u := range units {
		list = append(list, u.path)
	}
	return strings.Join(list, ", ")
}

func count(n int) string {
	if n == 1 {
		return "1 definition"
	}
	return fmt.Sprintf("%d definitions", n)
}

// short rounds a time to what one reads at a glance.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
