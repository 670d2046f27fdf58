package webhook

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

const secret = "a secret of at least twenty-four bytes"

// wan is a network in memory: a real HTTP server over TLS at its end, which can
// be cut.
type wan struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	down bool
}

var errDown = errors.New("the WAN is down")

func (w *wan) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	down := w.down
	w.mu.Unlock()
	if down {
		return nil, errDown
	}
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.done:
		return nil, errDown
	}
}

func (w *wan) cut(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// Accept, Close and Addr make it a net.Listener.
func (w *wan) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *wan) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}

func (w *wan) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 443} }

// receiver is a CMDB: it checks signatures, knows an event again by its id, and
// can be told to fail.
type receiver struct {
	*wan
	server *httptest.Server
	t      *testing.T

	mu     sync.Mutex
	fails  func(id string) (status int, header http.Header) // 0: it takes it
	stuck  chan struct{}                                    // answers when closed; nil: at once
	tries  int
	taken  []string // ids, each once, as they came first
	again  []string // ids that came more often
	events []map[string]any
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{wan: &wan{conns: make(chan net.Conn), done: make(chan struct{})}, t: t}
	r.server = httptest.NewUnstartedServer(r)
	if err := r.server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	r.server.Listener = r.wan
	r.server.StartTLS()
	return r
}

func (r *receiver) hook(name string, events ...string) Hook {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	return Hook{Name: name, URL: "https://example.com/hook?token=hidden", Secret: []byte(secret), CA: ca, Events: events}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("read an event: %v", err)
	}
	id := req.Header.Get(HeaderID)
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil || event["id"] != id || event["specversion"] != "1.0" {
		r.t.Errorf("event %s: %v: %s", id, err, body)
	}
	var at int64
	fmt.Sscan(req.Header.Get(HeaderTime), &at)
	if want := (Message{ID: id, Body: body}).Sign([]byte(secret), time.Unix(at, 0)); req.Header.Get(HeaderSignature) != want {
		r.t.Errorf("event %s is signed %s, want %s", id, req.Header.Get(HeaderSignature), want)
	}
	r.mu.Lock()
	r.tries++
	stuck, fails := r.stuck, r.fails
	r.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-req.Context().Done():
			panic(http.ErrAbortHandler) // to return says 200, which a client that gives up may still read
		}
	}
	if fails != nil {
		if status, header := fails(id); status != 0 {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(status)
			return
		}
	}
	r.take(id, event)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) take(id string, event map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.taken {
		if known == id {
			r.again = append(r.again, id)
			return
		}
	}
	r.taken = append(r.taken, id)
	r.events = append(r.events, event)
}

func (r *receiver) fail(fails func(id string) (int, http.Header)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = fails
}

func (r *receiver) got() (taken, again []string, tries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.taken...), append([]string{}, r.again...), r.tries
}

// world is a store, a mirror and an outbox at work.
type world struct {
	t      *testing.T
	kv     store.Engine
	store  *store.Store
	outbox *Outbox
	stop   func()
}

func bolt(t *testing.T, o boltstore.Options) store.Engine {
	t.Helper()
	kv, err := boltstore.Open(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// open starts an outbox over kv. Hooks of one world share the receiver's wires.
func open(t *testing.T, kv store.Engine, dial func(context.Context, string, string) (net.Conn, error), hooks ...Hook) *world {
	t.Helper()
	s := store.New(kv, time.Now)
	m := store.NewMirror(s)
	out, err := New(Options{
		Store: s, Mirror: m, Hooks: hooks, Source: "/muster/test", Log: zerolog.Nop(), Dial: dial,
		Data: func(_ context.Context, e provisioner.Entry) (any, error) { return map[string]any{"entry": e}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ended := make(chan error, 1)
	running.Go(func() { _ = m.Run(ctx) })
	running.Go(func() {
		select {
		case <-m.Ready():
			ended <- out.Run(ctx)
		case <-ctx.Done():
			ended <- nil
		}
	})
	return &world{t: t, kv: kv, store: s, outbox: out, stop: sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := <-ended; err != nil && !errors.Is(err, errKilled) {
			t.Error(err)
		}
	})}
}

// says commits one more entry of a host, which is made if it is not there.
func (w *world) says(id provisioner.HostID, kind provisioner.EntryKind, phase provisioner.Phase) {
	w.t.Helper()
	h, err := w.store.Host(w.t.Context(), id)
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		w.t.Fatal(err)
	}
	h.ID, h.Status.Phase = id, phase
	err = w.store.Commit(w.t.Context(), store.Change{Put: []provisioner.Host{h},
		Entries: []provisioner.Entry{{Host: id, At: time.Now(), Kind: kind, Phase: phase, Text: "x"}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) moves(id provisioner.HostID, times int) {
	w.t.Helper()
	for range times {
		w.says(id, provisioner.EntryMove, provisioner.Ready)
	}
}

var errFull = errors.New("no space left on device")

// full is a store on a full disk, until so many webhooks failed to begin.
type full struct {
	store.Engine
	mu   sync.Mutex
	left int
}

func (f *full) Txn(ctx context.Context, conds []store.Cond, ops []store.Op) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(conds) == 1 && f.left > 0 {
		f.left--
		return 0, errFull
	}
	return f.Engine.Txn(ctx, conds, ops)
}

var errKilled = errors.New("the server was killed")

// killing dies instead of writing the n-th cursor.
type killing struct {
	store.Engine
	mu   sync.Mutex
	left int
}

func (k *killing) Txn(ctx context.Context, conds []store.Cond, ops []store.Op) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(ops) > 0 && len(conds) == 0 {
		k.left--
	}
	if k.left <= 0 {
		return 0, errKilled
	}
	return k.Engine.Txn(ctx, conds, ops)
}
