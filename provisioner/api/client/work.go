package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// work asks for something long and follows it to its last line. An answer that
// ends before is an [Unreachable].
func (c caller) work(ctx context.Context, path string, body any, progress func(v1.Work)) (v1.Work, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return v1.Work{}, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, content)
	if err != nil {
		return v1.Work{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.open(req)
	if err != nil {
		return v1.Work{}, err
	}
	defer resp.Body.Close()
	end, err := lastLine(resp.Body, progress)
	if err != nil {
		return v1.Work{}, c.unreachable(req, err)
	}
	if end.Problem != nil {
		return v1.Work{}, end.Problem
	}
	return end, nil
}

// lastLine reads lines of work and tells all but the last.
func lastLine(stream io.Reader, progress func(v1.Work)) (v1.Work, error) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, answerLimit)
	for lines.Scan() {
		var line v1.Work
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return v1.Work{}, fmt.Errorf("read how far it is: %w", err)
		}
		if line.End {
			return line, nil
		}
		progress(line)
	}
	if err := lines.Err(); err != nil {
		return v1.Work{}, fmt.Errorf("%w: %w", errEnded, err)
	}
	return v1.Work{}, errEnded
}
