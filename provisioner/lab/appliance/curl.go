package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// curlRequest is a curl command line, as far as stages of a configuration use
// curl.
type curlRequest struct {
	method     string
	url        string
	header     http.Header
	data       string // "@file" and "@-" are read when the request is made
	hasData    bool
	fail       bool          // -f: an answer of 400 and above is a failure
	silent     bool          // -s without -S: say nothing
	limit      time.Duration // -m, for each try; 0 means none
	retries    int
	delay      time.Duration // between tries; 0 means doubling from a second
	retryAgain bool          // --retry-connrefused
	retryTime  time.Duration // --retry-max-time: nothing is tried again after it; 0 means no end
	output     string        // -o
}

// Exit codes of curl(1) that scripts may look at.
const (
	curlDone    = 0
	curlUsage   = 2
	curlConnect = 7
	curlHTTP    = 22
	curlTimeout = 28
)

// curl does what curl does with these arguments.
func curl(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	r, err := parseCurl(args)
	if err != nil {
		fmt.Fprintln(stderr, "curl:", err)
		return curlUsage
	}
	code, err := r.run(ctx, stdin, stdout, http.DefaultClient.Do)
	if err != nil && !r.silent {
		fmt.Fprintf(stderr, "curl: (%d) %v\n", code, err)
	}
	return code
}

// parseCurl reads the arguments; single letters may stand together, and a value
// may follow its letter at once.
func parseCurl(args []string) (curlRequest, error) {
	r := curlRequest{header: http.Header{}}
	show := false
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			r.url = arg
			continue
		}
		for _, option := range splitOptions(arg) {
			if option.name == "-S" {
				show = true
			}
			if r.flag(option.name) {
				continue
			}
			if option.value == "" {
				if len(args) == 0 {
					return r, fmt.Errorf("option %s: unknown, or its value is missing", option.name)
				}
				option.value, args = args[0], args[1:]
			}
			if err := r.set(option.name, option.value); err != nil {
				return r, err
			}
		}
	}
	if r.url == "" {
		return r, errors.New("no URL given")
	}
	r.silent = r.silent && !show
	return r.completed(), nil
}

// completed fills in what follows from other options.
func (r curlRequest) completed() curlRequest {
	if r.method == "" {
		r.method = http.MethodGet
		if r.hasData {
			r.method = http.MethodPost
		}
	}
	if r.hasData && r.header.Get("Content-Type") == "" {
		r.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

type curlOption struct{ name, value string }

// splitOptions takes -fsS apart, and a value from the letter it clings to.
func splitOptions(arg string) []curlOption {
	if strings.HasPrefix(arg, "--") {
		return []curlOption{{name: arg}}
	}
	var options []curlOption
	for i := 1; i < len(arg); i++ {
		if strings.ContainsRune("mXHdo", rune(arg[i])) {
			return append(options, curlOption{"-" + arg[i:i+1], arg[i+1:]})
		}
		options = append(options, curlOption{name: "-" + arg[i:i+1]})
	}
	return options
}

// flag takes an option without a value.
func (r *curlRequest) flag(name string) bool {
	switch name {
	case "-f", "--fail":
		r.fail = true
	case "-s", "--silent":
		r.silent = true
	case "--retry-connrefused", "--retry-all-errors":
		r.retryAgain = true
	case "-S", "--show-error", "-k", "--insecure", "-L", "--location":
	default:
		return false
	}
	return true
}

// set takes an option with a value.
func (r *curlRequest) set(name, value string) (err error) {
	switch name {
	case "-X", "--request":
		r.method = value
	case "-H", "--header":
		key, content, _ := strings.Cut(value, ":")
		r.header.Add(strings.TrimSpace(key), strings.TrimSpace(content))
	case "-d", "--data", "--data-binary", "--data-raw":
		r.data, r.hasData = value, true
	case "-o", "--output":
		r.output = value
	case "-m", "--max-time":
		r.limit, err = seconds(value)
	case "--retry-delay":
		r.delay, err = seconds(value)
	case "--retry-max-time":
		r.retryTime, err = seconds(value)
	case "--retry":
		r.retries, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("option %s is not known here", name)
	}
	return err
}

func seconds(text string) (time.Duration, error) {
	n, err := strconv.ParseFloat(text, 64)
	return time.Duration(n * float64(time.Second)), err
}

// sender sends a request and waits for the answer's head.
type sender func(*http.Request) (*http.Response, error)

// run makes the request, again where that may help.
func (r curlRequest) run(ctx context.Context, stdin io.Reader, stdout io.Writer, send sender) (int, error) {
	body, err := r.body(stdin)
	if err != nil {
		return curlUsage, err
	}
	began, wait := time.Now(), time.Second
	for try := 0; ; try++ {
		code, transient, err := r.once(ctx, body, stdout, send)
		late := r.retryTime > 0 && time.Since(began) >= r.retryTime
		if !transient || try >= r.retries || late {
			return code, err
		}
		if r.delay > 0 {
			wait = r.delay
		}
		if pause(ctx, wait) != nil {
			return curlTimeout, err
		}
		wait *= 2
	}
}

func (r curlRequest) body(stdin io.Reader) (string, error) {
	name, isFile := strings.CutPrefix(r.data, "@")
	switch {
	case !isFile:
		return r.data, nil
	case name == "-":
		content, err := io.ReadAll(stdin)
		return string(content), err
	}
	content, err := os.ReadFile(name)
	return string(content), err
}

// once makes the request one time; transient says that another try may help.
func (r curlRequest) once(ctx context.Context, body string, stdout io.Writer, send sender) (code int, transient bool, err error) {
	if r.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.limit)
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(body))
	if err != nil {
		return curlUsage, false, err
	}
	request.Header = r.header
	response, err := send(request)
	if err != nil {
		return r.connectFailure(err)
	}
	defer response.Body.Close()
	if r.fail && response.StatusCode >= 400 {
		return curlHTTP, transientStatus(response.StatusCode), fmt.Errorf("the requested URL returned error: %d", response.StatusCode)
	}
	if r.output == "" {
		_, err = io.Copy(stdout, response.Body)
		return curlDone, false, err
	}
	f, err := os.Create(r.output)
	if err != nil {
		return curlUsage, false, err
	}
	_, err = io.Copy(f, response.Body)
	return curlDone, false, errors.Join(err, f.Close())
}

// connectFailure tells curl's kinds of failed connections apart. A refused
// connection is not tried again unless asked for, a slow one is.
func (r curlRequest) connectFailure(err error) (code int, transient bool, _ error) {
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return curlTimeout, true, err
	}
	return curlConnect, r.retryAgain || !errors.Is(err, syscall.ECONNREFUSED), err
}

// transientStatus is curl's own list of answers worth another try.
func transientStatus(status int) bool {
	switch status {
	case 408, 429, 500, 502, 503, 504:
		return true
	}
	return false
}
