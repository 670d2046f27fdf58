package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// registration is what the agent says of its host.
type registration struct {
	Serial   string   `json:"serial"`
	UUID     string   `json:"uuid"`
	MACs     []string `json:"macs"`
	Hostname string   `json:"hostname"`
	Agent    string   `json:"agent"`
}

const agentName = "muster-demo-agent/1"

// The pauses between two tries: doubling from the first to the longest, and
// slowly from the start where the server has said no.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Second
	refusedPause = 30 * time.Second
)

// agent registers the host once, however long it takes, and keeps the answer
// in a file so that later boots need no server.
func agent(ctx context.Context, to *callhome, state string, say func(string, ...any)) error {
	if kept, err := os.ReadFile(state); err == nil {
		say("registered at an earlier boot: %s", firstLine(kept))
		return nil
	}
	if to == nil || to.URL == "" {
		say("there is no callhome.url in the configuration: not registering")
		return nil
	}
	r := thisHost()
	wait := firstPause
	for {
		answer, status, err := r.post(ctx, *to)
		if err == nil {
			if err := keep(state, append(answer, '\n')); err != nil {
				return err
			}
			say("registered: %s", firstLine(answer)) // once it would be known after a power cut
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if toldOff(answer) {
			say("not registered here: %v; powering off", err)
			return shell(ctx, "poweroff")
		}
		next := wait
		if refused(status) {
			next = refusedPause
		}
		say("not registered yet: %v; trying again in %s", err, next)
		if pause(ctx, next) != nil {
			return nil
		}
		wait = min(2*wait, longestPause)
	}
}

// toldOff says whether a refusal tells the host to power off.
func toldOff(answer []byte) bool {
	var refusal struct {
		Do string `json:"do"`
	}
	return json.Unmarshal(answer, &refusal) == nil && refusal.Do == "poweroff"
}

// keep writes a file so that it survives a power cut right after.
func keep(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// refused says whether the server knows the agent and does not want it. It may
// be told otherwise, so the agent goes on asking, but slowly.
func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusGone
}

// post sends the registration. The status is 0 if no answer came.
func (r registration) post(ctx context.Context, to callhome) (answer []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return nil, 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+to.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, response.StatusCode, err
	}
	if response.StatusCode/100 != 2 {
		return answer, response.StatusCode, fmt.Errorf("the server answered %s: %s", response.Status, firstLine(answer))
	}
	return answer, response.StatusCode, nil
}

// thisHost reads who this host is; what it cannot read stays empty.
func thisHost() registration {
	hostname, _ := os.Hostname()
	r := registration{
		Serial:   sysText("/sys/class/dmi/id/product_serial"),
		UUID:     sysText("/sys/class/dmi/id/product_uuid"),
		MACs:     []string{},
		Hostname: hostname,
		Agent:    agentName,
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if len(i.HardwareAddr) > 0 {
			r.MACs = append(r.MACs, i.HardwareAddr.String())
		}
	}
	return r
}

func sysText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
