package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// meter shows how far something long is, where a person looks on.
type meter struct {
	all *mpb.Progress // nil: nobody looks on
	bar *mpb.Bar
}

// newMeter begins a bar of total bytes on the session's standard error.
func (s *session) newMeter(what string, total int64) *meter {
	return s.newBar(what, total, decor.Counters(decor.SizeB1000(0), "% .1f / % .1f"))
}

// newCounter begins a bar of so many things.
func (s *session) newCounter(what string, total int) *meter {
	return s.newBar(what, int64(total), decor.CountersNoUnit("%d / %d"))
}

func (s *session) newBar(what string, total int64, counters decor.Decorator) *meter {
	f, isFile := s.err.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return &meter{}
	}
	const width = 40
	all := mpb.New(mpb.WithOutput(f), mpb.WithWidth(width))
	return &meter{all: all, bar: all.AddBar(total,
		mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(counters, decor.Name(" "), decor.Percentage()))}
}

// reader counts what is read of r.
func (m *meter) reader(r io.Reader) io.Reader {
	if m.all == nil {
		return r
	}
	return m.bar.ProxyReader(r)
}

// set says that n bytes are done.
func (m *meter) set(n int64) {
	if m.all != nil {
		m.bar.SetCurrent(n)
	}
}

// done ends the bar; an error leaves it where it is.
func (m *meter) done(err error) {
	if m.all == nil {
		return
	}
	if err != nil {
		m.bar.Abort(false)
	} else {
		m.bar.SetTotal(-1, true)
	}
	m.all.Wait()
}
