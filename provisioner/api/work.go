package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// maxText bounds a request that carries a list of checksums, in bytes.
const maxText = 1 << 20

// linePause is how often something long says how far it is.
const linePause = 250 * time.Millisecond

// work answers with a line whenever something long got further, and with what
// came of it in the last. do runs until it is done, the reader goes, or muster
// stops.
func (p *people) work(r *http.Request, do func(ctx context.Context, progress func(done, total int64)) (v1.Work, error)) Response {
	return Response{Status: http.StatusOK, Stream: func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", v1.WorkType)
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		lines := &lines{w: w, now: p.Now, lost: cancel}
		end, err := do(ctx, lines.progress)
		if ctx.Err() != nil {
			return // without a last line: who still listens knows that it is not done
		}
		if err != nil {
			end = v1.Work{Problem: p.problem(err)}
		}
		end.Done, end.Total, end.End = lines.done, lines.total, true
		lines.write(end)
	}}
}

// problem is an error as the reader gets it; what is our own fault goes to the
// log as well.
func (p *people) problem(err error) *v1.Problem {
	resp := fail(err)
	if provisioner.KindOf(err) == provisioner.Bug {
		p.Log.Error().Err(err).Msg("long work not done")
	}
	return resp.Body.(*v1.Problem)
}

// lines writes the lines of one answer. It is for one goroutine.
type lines struct {
	w           http.ResponseWriter
	now         func() time.Time
	lost        context.CancelCauseFunc // called when the reader is gone or too slow
	done, total int64
	next        time.Time
}

func (l *lines) progress(done, total int64) {
	l.done, l.total = done, total
	if now := l.now(); !now.Before(l.next) {
		l.next = now.Add(linePause)
		l.write(v1.Work{Done: done, Total: total})
	}
}

func (l *lines) write(line v1.Work) {
	text, err := json.Marshal(line)
	if err == nil {
		err = write(l.w, append(text, '\n'))
	}
	if err != nil {
		l.lost(err)
	}
}
