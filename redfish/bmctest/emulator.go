package bmctest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options says what is emulated. Personality and Machine are required.
type Options struct {
	Personality Personality
	Machine     Machine
	// User and Password are the one account; empty means admin and
	// "initial-secret".
	User, Password string
	// PasswordExpired makes the account change its password before all else.
	PasswordExpired bool
	// Unlicensed refuses virtual media for want of a licence.
	Unlicensed bool
	// HTTPSOnly answers on https alone; else on http as well.
	HTTPSOnly bool
	// Address is where it listens, without a port; empty means 127.0.0.1.
	Address string
	// HTTPPort and HTTPSPort are 0 for any that is free.
	HTTPPort, HTTPSPort int
	// Listen makes its sockets, e.g. in another network namespace; nil means
	// net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Dial reaches the images; nil means a plain dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are what it trusts where it verifies an image's server.
	Roots *x509.CertPool
	// Second is how long one of its seconds takes; 0 means a second.
	Second time.Duration
	// Now is its clock; nil means time.Now.
	Now func() time.Time
	// Control serves [Emulator.Control] below /control/ too.
	Control bool
}

func (o Options) withDefaults() Options {
	if o.User == "" {
		o.User = "admin"
	}
	if o.Password == "" {
		o.Password = "initial-secret"
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Second == 0 {
		o.Second = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Emulator is one BMC. Its methods may be called from several goroutines.
type Emulator struct {
	opts    Options
	rules   Personality
	machine Machine
	tree    map[string]resource // by path, without a slash at the end
	ctx     context.Context     // ends with Close
	stop    context.CancelFunc
	work    sync.WaitGroup // power changes, tasks and servers
	servers []*http.Server
	http    string // addresses; http is empty with HTTPSOnly
	https   string

	mu       sync.Mutex
	cert     tls.Certificate
	faults   []Fault
	auth     auth
	power    power
	override override
	staged   object // of the settings object
	slots    []*slot
	service  bool // virtual media are enabled
	oemBoot  map[string]string
	tasks    []*task
	count    int // of everything that is numbered
	record   record
}

// Start starts a BMC and returns when it answers. Close ends it.
func Start(o Options) (*Emulator, error) {
	o = o.withDefaults()
	e := &Emulator{opts: o, rules: o.Personality, machine: o.Machine, override: newOverride(o.Personality.Boot)}
	e.auth = newAuth(o)
	e.service = !e.rules.Media.ServiceOff
	for _, s := range e.rules.Media.Slots {
		e.slots = append(e.slots, &slot{rules: s, verify: e.rules.Media.Verify})
	}
	e.tree = e.plant()
	e.ctx, e.stop = context.WithCancel(context.Background())
	if err := e.renewCertificate(); err != nil {
		return nil, err
	}
	if err := e.listen(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Emulator) listen() error {
	host := net.JoinHostPort(e.opts.Address, fmt.Sprint(e.opts.HTTPSPort))
	l, err := e.opts.Listen("tcp", host)
	if err != nil {
		return fmt.Errorf("listen for https: %w", err)
	}
	e.https = l.Addr().String()
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return e.certificate(), nil }}
	e.serve(tls.NewListener(l, config))
	if e.opts.HTTPSOnly {
		return nil
	}
	l, err = e.opts.Listen("tcp", net.JoinHostPort(e.opts.Address, fmt.Sprint(e.opts.HTTPPort)))
	if err != nil {
		return fmt.Errorf("listen for http: %w", err)
	}
	e.http = l.Addr().String()
	e.serve(l)
	return nil
}

// serve answers on l until Close.
func (e *Emulator) serve(l net.Listener) {
	s := &http.Server{Handler: e, ConnContext: countedConn, ReadHeaderTimeout: time.Minute, ErrorLog: silent()}
	e.servers = append(e.servers, s)
	e.work.Go(func() { _ = s.Serve(l) }) // ends with Close alone
}

// Close ends the BMC and waits until nothing of it is left. The machine stays
// as it is.
func (e *Emulator) Close() error {
	e.stop()
	var errs []error
	for _, s := range e.servers {
		errs = append(errs, s.Close())
	}
	e.work.Wait()
	return errors.Join(errs...)
}

// URL is the root of the service on http, or on https where it is alone.
func (e *Emulator) URL() string {
	if e.http == "" {
		return e.HTTPS()
	}
	return "http://" + e.http
}

// HTTPS is the root of the service on https.
func (e *Emulator) HTTPS() string { return "https://" + e.https }

// User and Password open it now; a client may have changed the password.
func (e *Emulator) User() string { return e.opts.User }

// Password is the account's password.
func (e *Emulator) Password() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.auth.password
}

// after runs f when n of the BMC's seconds have passed, unless it ends before.
func (e *Emulator) after(n int, f func()) {
	e.work.Go(func() {
		t := time.NewTimer(e.opts.seconds(n))
		defer t.Stop()
		select {
		case <-e.ctx.Done():
		case <-t.C:
			f()
		}
	})
}

// number counts everything that needs an id.
func (e *Emulator) number() int {
	e.count++
	return e.count
}
