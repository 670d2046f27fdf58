package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images/media"
	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/httpboot"
)

// serveVerb has this program be the server that is measured.
const serveVerb = "serve-media"

// Where serveMedia serves the image as it is, and a host's own of it.
const (
	plainPath = "/plain/image.iso"
	hostPath  = "/host/image.iso"
)

// serveMedia serves one image by muster's boot server, as it is and as a host's
// own, until ctx ends. It prints its address. Requests share the open image and
// connections are answered directly, as in muster.
func serveMedia(ctx context.Context, image string, out io.Writer) error {
	o, err := hostOverlay(image)
	if err != nil {
		return err
	}
	var sent atomic.Int64
	var bases media.Bases
	defer bases.Close()
	open := func() (*os.File, func(), error) {
		return bases.Open("bench", func() (*os.File, error) { return os.Open(image) })
	}
	serve := func(o *overlay.Overlay) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f, release, err := open()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer release()
			media.Serve(w, r, media.Medium{
				Name: path.Base(r.URL.Path), Base: f, Reopen: open, Overlay: o, ETag: `"bench"`,
				Progress: func(_, n int64) { sent.Add(n) },
			})
		})
	}
	mounts := []httpboot.Mount{
		{Prefix: path.Dir(plainPath), Direct: true, Handler: serve(nil)},
		{Prefix: path.Dir(hostPath), Direct: true, Handler: serve(o)},
	}
	at := []httpboot.Endpoint{{Network: "lo", Address: netip.MustParseAddrPort("127.0.0.1:0")}}
	noScript := func(string) (string, error) { return "", errors.New("nothing is booted here") }
	s := httpboot.New(at, nil, noScript, mounts, nil, pxe.Decider(nil), zerolog.Nop(), httpboot.Options{})
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx) }()
	select {
	case <-s.Ready():
		fmt.Fprintln(out, s.Bound()[0])
	case err := <-running:
		return err
	}
	return <-running
}

// hostOverlay is what one host usually gets: two files and kernel arguments.
func hostOverlay(image string) (*overlay.Overlay, error) {
	f, x, err := scan(image)
	if err != nil {
		return nil, err
	}
	return overlay.Build(f, x, hostChanges())
}

func scan(image string) (*os.File, overlay.Index, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, overlay.Index{}, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, overlay.Index{}, err
	}
	x, err := overlay.Scan(f, st.Size())
	return f, x, err
}

func hostChanges() []overlay.Change {
	config := []byte(strings.Repeat("# the configuration of one host\n", 128))
	return []overlay.Change{
		{Path: "/autoinstall.yaml", Content: config},
		{Path: "/zz_muster.yaml", Content: config},
		{Args: []string{"console=ttyS0", "muster.attempt=0123456789abcdef"}},
	}
}

// server is a process that serves the image.
type server struct {
	cmd  *exec.Cmd
	addr string
}

// startMuster starts this program as serveMedia.
func startMuster(ctx context.Context, image string) (server, error) {
	self, err := os.Executable()
	if err != nil {
		return server{}, err
	}
	cmd := exec.CommandContext(ctx, self, serveVerb, image)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return server{}, err
	}
	if err := cmd.Start(); err != nil {
		return server{}, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return server{}, fmt.Errorf("start serve-media: %w", errors.Join(err, cmd.Wait()))
	}
	return server{cmd, strings.TrimSpace(line)}, nil
}

// nginxPort is where nginx listens; it cannot say which port it was given.
const nginxPort = 18067

// nginxConfig is nginx as it serves files best. Its one file limit that a
// benchmark meets, requests per connection, is lifted.
const nginxConfig = `user root;
worker_processes 2;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000000;
	default_type application/octet-stream;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]d;
		location / { root %[3]s; }
	}
}
`

// startNginx starts nginx over the image's directory, in the foreground and
// with everything it writes in dir.
func startNginx(ctx context.Context, image, dir string) (server, error) {
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, nginxPort, filepath.Dir(image))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return server{}, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return server{}, fmt.Errorf("start nginx (make lab installs it): %w", err)
	}
	s := server{cmd, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), nginxPort).String()}
	return s, s.untilItListens(ctx)
}

// untilItListens waits until the server takes connections.
func (s server) untilItListens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", s.addr, err)
		case <-tick.C:
		}
	}
}

// sizeOf asks for the length of what a path serves.
func (s server) sizeOf(ctx context.Context, path string) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+s.addr+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	if err := response.Body.Close(); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("HEAD http://%s%s: %s", s.addr, path, response.Status)
	}
	return response.ContentLength, nil
}

// stop ends the process and its children, and waits for it.
func (s server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait() // says only how it was ended
}

// cpu is the processor time of a server and its children so far.
func (s server) cpu() (time.Duration, error) {
	pids := []string{strconv.Itoa(s.cmd.Process.Pid)}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]s/task/%[1]s/children", pids[0]))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range append(pids, strings.Fields(string(children))...) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		took, err := statCPU(string(stat))
		if err != nil {
			return 0, fmt.Errorf("read /proc/%s/stat: %w", pid, err)
		}
		sum += took
	}
	return sum, nil
}

// clockTick is the unit of /proc/PID/stat: sysconf(_SC_CLK_TCK) is 100 on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// statCPU is the sum of utime and stime, fields 14 and 15 of proc(5). The
// second field, a name in parentheses, may hold anything.
func statCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("it has too few fields")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, err
}
