package localui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"time"
)

// idleTime is how long an upload may stand still, and how long the host may
// take to unpack it after the last byte.
const (
	idleTime   = 2 * time.Minute
	unpackTime = 30 * time.Minute
)

// errStill is that of an upload which did not move.
var errStill = fmt.Errorf("nothing of it was taken for %s", idleTime)

// file is what is uploaded under one field of a form.
type file struct {
	field string
	name  string
	size  int64
	body  io.Reader
}

// upload sends files to path as one form. counted is told how many bytes of
// them were sent so far; it must not block.
func (e *edge) upload(ctx context.Context, path string, counted func(sent int64), files ...file) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, size, kind, err := form(files)
	if err != nil {
		return err
	}
	alive := &watched{body: body, counted: counted, timer: time.AfterFunc(idleTime, func() { cancel(errStill) })}
	defer alive.timer.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+path, alive)
	if err != nil {
		return err
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", kind)
	err = e.do(r, nil)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStill) {
		return cause
	}
	return err
}

// form is a multipart form of files, with its length: some servers take no body
// of unknown length.
func form(files []file) (body io.Reader, size int64, kind string, err error) {
	var parts []io.Reader
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	flush := func() {
		text := bytes.Clone(head.Bytes())
		head.Reset()
		parts, size = append(parts, bytes.NewReader(text)), size+int64(len(text))
	}
	for _, f := range files {
		if _, err := w.CreateFormFile(f.field, f.name); err != nil {
			return nil, 0, "", err
		}
		flush()
		parts, size = append(parts, io.LimitReader(f.body, f.size)), size+f.size
	}
	if err := w.Close(); err != nil {
		return nil, 0, "", err
	}
	flush()
	return io.MultiReader(parts...), size, w.FormDataContentType(), nil
}

// watched is a body that says how far it was read, and whose timer runs off
// when it is not.
type watched struct {
	body    io.Reader
	counted func(sent int64)

	mu    sync.Mutex
	sent  int64
	timer *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent += int64(n)
	w.counted(w.sent)
	if errors.Is(err, io.EOF) {
		w.timer.Reset(unpackTime)
	} else {
		w.timer.Reset(idleTime)
	}
	return n, err
}
