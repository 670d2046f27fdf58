package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A configuration is asked for three times, a second apart, and may be a MiB
// long.
const (
	fetchTries = 3
	fetchPause = time.Second
	fetchLimit = 1 << 20
)

// fetcher fetches configurations.
func fetcher(client *http.Client) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, url string) (body []byte, err error) {
		for try := range fetchTries {
			if try > 0 && pause(ctx, fetchPause) != nil {
				break
			}
			if body, err = get(ctx, client, url); err == nil {
				return body, nil
			}
		}
		return nil, fmt.Errorf("tried %d times: %w", fetchTries, err)
	}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, fetchLimit+1))
	if err != nil {
		return nil, err
	}
	if len(body) > fetchLimit {
		return nil, fmt.Errorf("the answer is longer than %d bytes", fetchLimit)
	}
	return body, nil
}

// pause waits, or returns why it was cut short.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// online says whether any interface has an address to ask from.
func online() bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return true
		}
	}
	return false
}
