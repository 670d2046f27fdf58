package scout

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no such device") }

// stuck takes nothing until it is let go.
type stuck struct {
	letGo chan struct{}
	text  strings.Builder
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.letGo
	return s.text.Write(p)
}

// end lets the goroutine of a terminal end, which outside of tests none does.
func end(t *testing.T, terminals ...*terminal) {
	t.Cleanup(func() {
		for _, x := range terminals {
			close(x.queue)
		}
	})
}

func TestATerminalThatIsStuckOrBrokenHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good strings.Builder
		s := &stuck{letGo: make(chan struct{})}
		all := everyTerminal{newTerminal(broken{}), newTerminal(s), newTerminal(&good)}
		end(t, all...)
		c := NewConsole(all)
		const said = lines + 20
		for i := range said {
			c.Say("Line %d.", i)
			synctest.Wait()
		}
		if n := strings.Count(good.String(), "Line"); n != said {
			t.Errorf("the good terminal has %d lines of %d", n, said)
		}
		start := time.Now()
		c.Drain()
		if took := time.Since(start); took != drainTime {
			t.Errorf("a stuck terminal held up the end for %s", took)
		}
		close(s.letGo)
		synctest.Wait()
		c.Say("Back.")
		synctest.Wait()
		text := s.text.String()
		if !strings.Contains(text, fmt.Sprintf("(%d lines are missing here", said-lines-1)) || !strings.Contains(text, "Back.") {
			t.Errorf("the terminal that was stuck ends with %q", text[max(0, len(text)-200):])
		}
	})
}

func TestTheLastWordsArePrintedBeforeTheEnd(t *testing.T) {
	var b strings.Builder
	x := newTerminal(&b)
	end(t, x)
	c := NewConsole(everyTerminal{x})
	c.Say("Restarting.")
	c.Drain()
	if !strings.Contains(b.String(), "Restarting.") {
		t.Errorf("printed %q", b.String())
	}
}
