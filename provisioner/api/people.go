package api

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// Installer is what the people's API asks about what hosts are given.
type Installer interface {
	// Try says what is wrong with what a host of the order would be given, as far
	// as it is known before the host was seen. The sentence begins with the key
	// of the order that is at fault, if one is, and holds none of its secrets.
	// Where nothing is, caution is a sentence on what the host goes without.
	Try(o provisioner.Order, want provisioner.Intent) (caution string, err error)
	// Preview is what h is given by its present attempt, or would be given by the
	// next one. It holds no secret and no token.
	Preview(ctx context.Context, h provisioner.Host) (v1.Preview, error)
	// Medium says where h's own ISO of its present attempt is.
	Medium(ctx context.Context, h provisioner.Host) (v1.Medium, error)
}

// Handoffs is what the people's API asks of the drivers of hand-offs.
type Handoffs interface {
	// CheckOptions says what is wrong with what an order says below its hand-off.
	CheckOptions(driver string, options map[string]any) error
	// Check says whether the hosts of an order could be handed over, as far as
	// that is known before one is installed.
	Check(ctx context.Context, o provisioner.Order) (v1.Checked, error)
}

// Reporter makes the signed record of a host, as JSON.
type Reporter interface {
	Report(ctx context.Context, h provisioner.Host) ([]byte, error)
}

// Options of the people's API. All are required but Installer, Handoffs,
// Reporter, Webhooks, Reasons, Log and Now.
type Options struct {
	Store   *store.Store
	Mirror  *store.Mirror // running
	Images  Catalog
	Drivers []string // names of the hand-offs that orders may name
	Site    Site     // what muster's networks do
	Version string   // of muster
	Sealer  Sealer   // of BMCs' passwords
	// Controllers asks hosts' BMCs; nil: this muster drives none.
	Controllers Controllers
	// Strangers are BMCs that asked for an address and that no host lists; nil:
	// nobody listens.
	Strangers func() []v1.FoundBMC
	// Installer tries and shows what hosts are given; nil: an order may say what
	// it likes, and nothing can be shown.
	Installer Installer
	Handoffs  Handoffs            // nil: any order may start
	Reporter  Reporter            // nil: there are no records
	Webhooks  func() []v1.Webhook // nil: there are none
	Reasons   func() []string     // sentences of what does not work; nil: all does
	Log       zerolog.Logger
	Now       func() time.Time // nil means time.Now
}

// operator is whom journal entries name until muster knows users.
const operator = "operator"

// people serves the people's API.
type people struct {
	Options
	// names is held while images are named by orders, or removed.
	names sync.Mutex
}

// New returns the handler of the people's API.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Reasons == nil {
		o.Reasons = func() []string { return nil }
	}
	p := &people{Options: o}
	table := p.routes()
	for i := range table {
		table[i].serve = p.current(table[i].serve)
	}
	table = append(table, route{method: "GET", path: "/openapi.json", access: Viewer, id: "document",
		summary: "This interface, as OpenAPI 3.1", reply: stream("application/json"), serve: serveDocument(table, o.Version)})
	return mount(table, o.Log)
}

func (p *people) routes() []route {
	return slices.Concat(p.hostRoutes(), p.bmcRoutes(), p.orderRoutes(), p.imageRoutes(), p.profileRoutes(), p.webhookRoutes(), []route{
		{"GET", "/v1/watch", Viewer, "watch", "What happens, as server-sent events; Last-Event-ID resumes", nil, nil, stream("text/event-stream"), p.watch},
		{"GET", "/v1/version", Viewer, "version", "Which muster this is", nil, nil, v1.Version{}, p.version},
		{"GET", "/v1/health", Viewer, "health", "Whether all works, and what does not", nil, nil, v1.Health{}, p.health},
	})
}

// current makes an answer know all that was committed before the question.
func (p *people) current(serve func(*http.Request) Response) func(*http.Request) Response {
	return func(r *http.Request) Response {
		if err := p.Mirror.Sync(r.Context()); err != nil {
			return fail(err)
		}
		return serve(r)
	}
}

func (p *people) version(*http.Request) Response {
	return ok(v1.Version{Muster: p.Version, Go: runtime.Version()})
}

func (p *people) health(*http.Request) Response {
	h := v1.Health{Status: "ok", Hosts: len(p.Mirror.Hosts()), Orders: len(p.Mirror.Orders()), Reasons: texts(p.Reasons())}
	if len(h.Reasons) > 0 {
		h.Status = "degraded"
	}
	return ok(h)
}

func (p *people) entry(h provisioner.Host, text string) provisioner.Entry {
	return wanted(h, p.Now(), text)
}

// wanted is a journal line of something that a person wanted.
func wanted(h provisioner.Host, at time.Time, text string) provisioner.Entry {
	return provisioner.Entry{
		Host: h.ID, At: at, Kind: provisioner.EntryIntent, Phase: h.Status.Phase,
		Attempt: h.Status.Attempt.ID, Text: text, By: operator,
	}
}
