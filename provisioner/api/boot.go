package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Plane is what scouts, installers and agents may ask of muster. Whoever calls
// has checked the token; whether the attempt still counts is for the Plane to
// say. Every call may come again and then changes nothing. Errors are
// *provisioner.Fault.
type Plane interface {
	Time(ctx context.Context) time.Time
	Instruction(ctx context.Context, id provisioner.HostID, version, remote string) (inventory.Instruction, error)
	Report(ctx context.Context, id provisioner.HostID, attempt provisioner.AttemptID, r inventory.Report) error
	Progress(ctx context.Context, id provisioner.HostID, s inventory.Step) error
	Document(ctx context.Context, attempt provisioner.AttemptID, name string) (provisioner.Document, error)
	Step(ctx context.Context, attempt provisioner.AttemptID, stage, detail string) error
	Booted(ctx context.Context, attempt provisioner.AttemptID, remote string) error
	// Dismiss tells whether a system that called, and heeds the answer, is to power off.
	Dismiss(ctx context.Context, attempt provisioner.AttemptID, remote string) (off bool, err error)
	Register(ctx context.Context, attempt provisioner.AttemptID, remote string, claims map[string]string) (provisioner.Receipt, error)
}

// Finder finds the host that a URL of the boot plane names, from memory.
type Finder interface {
	Host(id provisioner.HostID) (provisioner.Host, bool)
	ByAttempt(attempt provisioner.AttemptID) (provisioner.Host, bool)
}

// The roots of the boot plane's paths; whoever makes URLs of them appends
// /HOST/TOKEN to the one and /ATTEMPT/TOKEN to the other.
const (
	ScoutRoot   = "/scout"
	AttemptRoot = "/a"
)

// Bounds of what hosts send.
const (
	maxAttempt    = 64   // bytes of an attempt's id
	maxVersion    = 128  // bytes of a scout's
	maxDetail     = 1024 // bytes of a stage's detail
	maxClaims     = 32
	maxClaimName  = 64   // bytes
	maxClaimValue = 1024 // bytes
)

// inertConfig is the user-data of an attempt that is over: installed systems
// ask for theirs at every boot, and nothing must come of it.
const inertConfig = "#cloud-config\n{}\n"

const cloudConfig = "text/cloud-config; charset=utf-8"

// bootPlane serves scouts, installers and agents.
type bootPlane struct {
	plane Plane
	hosts Finder
}

// NewBootPlane returns the handler of everything below [ScoutRoot] and
// [AttemptRoot]. It holds none of the people's routes.
func NewBootPlane(plane Plane, hosts Finder, log zerolog.Logger) http.Handler {
	return mount((&bootPlane{plane, hosts}).routes(), log)
}

func (b *bootPlane) routes() []route {
	const scout, attempt = ScoutRoot + "/{host}/{token}", AttemptRoot + "/{attempt}/{token}"
	return []route{
		{"GET", scout + "/time", ScoutKey, "scoutTime", "muster's time, before anything else", nil, nil, v1.Clock{}, b.scout(b.time)},
		{"GET", scout + "/instruction", ScoutKey, "scoutInstruction", "What the scout does next", []param{{"version", "of the scout"}}, nil, inventory.Instruction{}, b.scout(b.instruction)},
		{"POST", scout + "/report", ScoutKey, "scoutReport", "What the scout saw", []param{{"attempt", "that asked for it"}}, inventory.Report{}, nil, b.scout(b.report)},
		{"POST", scout + "/progress", ScoutKey, "scoutProgress", "How far the scout is", nil, inventory.Step{}, nil, b.scout(b.progress)},
		{"GET", attempt + "/config", Attempter, "attemptConfig", "The host's configuration", nil, nil, nil, b.config},
		{"GET", attempt + "/seed/{name}", Attempter, "attemptSeed", "A file of the host's NoCloud seed", nil, nil, nil, b.seed},
		{"POST", attempt + "/step/{stage}", Attempter, "attemptStep", "A stage that the installer reached", nil, nil, nil, b.attempt(b.step)},
		{"POST", attempt + "/booted", Attempter, "attemptBooted", "The installed system calls home; one that must power off is told so by the word poweroff", nil, nil, nil, b.attempt(b.booted)},
		{"POST", attempt + "/phone-home", Attempter, "attemptPhoneHome", "cloud-init of the installed system calls home", nil, nil, nil, b.attempt(b.phoneHome)},
		{"POST", attempt + "/report", Attempter, "attemptReport", "An event of an installer, or of cloud-init, that reports to a webhook", nil, event{}, nil, b.attempt(b.reported)},
		{"POST", attempt + "/api/v1/nodes/register", Attempter, "attemptNodeRegister", "kairos-agent registers the host by its phonehome", nil, kairosNode{}, kairosCredentials{}, b.attempt(b.kairosRegister)},
		{"POST", attempt + "/register", Attempter, "attemptRegister", "The agent registers the host", nil, map[string]string{}, v1.Registered{}, b.attempt(b.register)},
	}
}

// scout admits a request whose token is the key of its host's present run. A
// host that is not there and a wrong token look the same.
func (b *bootPlane) scout(serve func(provisioner.Host, *http.Request) Response) func(*http.Request) Response {
	return func(r *http.Request) Response {
		h, found := b.hosts.Host(provisioner.HostID(r.PathValue("host")))
		if !found || !h.Status.Key.Matches(r.PathValue("token")) {
			return fail(denied())
		}
		return serve(h, r)
	}
}

// attempt admits a request whose token is that of its attempt.
func (b *bootPlane) attempt(serve func(provisioner.AttemptID, *http.Request) Response) func(*http.Request) Response {
	return func(r *http.Request) Response {
		id := provisioner.AttemptID(r.PathValue("attempt"))
		if err := b.admit(id, r.PathValue("token")); err != nil {
			return fail(err)
		}
		return serve(id, r)
	}
}

func (b *bootPlane) admit(id provisioner.AttemptID, token string) error {
	h, found := b.hosts.ByAttempt(id)
	if !found || h.Status.Attempt.ID != id {
		return &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf(
			"attempt %q is over or never was: boot this host from the network to begin a new one", id)}
	}
	if !h.Status.Attempt.Token.Matches(token) {
		return denied()
	}
	return nil
}

func denied() error {
	return &provisioner.Fault{Kind: provisioner.Denied, Err: fmt.Errorf(
		"this token is not (or no longer) valid for this host: boot it again")}
}

func (b *bootPlane) time(_ provisioner.Host, r *http.Request) Response {
	return ok(v1.Clock{Time: b.plane.Time(r.Context())})
}

func (b *bootPlane) instruction(h provisioner.Host, r *http.Request) Response {
	do, err := b.plane.Instruction(r.Context(), h.ID, clean(r.URL.Query().Get("version"), maxVersion), remote(r))
	if err != nil {
		return fail(err)
	}
	return ok(do)
}

func (b *bootPlane) report(h provisioner.Host, r *http.Request) Response {
	report, err := readReport(r)
	if err != nil {
		return fail(err)
	}
	attempt := provisioner.AttemptID(clean(r.URL.Query().Get("attempt"), maxAttempt))
	if err := b.plane.Report(r.Context(), h.ID, attempt, report); err != nil {
		return fail(err)
	}
	return done()
}

func (b *bootPlane) progress(h provisioner.Host, r *http.Request) Response {
	var step inventory.Step
	if err := decodeLoose(r, smallBody, &step); err != nil {
		return fail(err)
	}
	if !stageName(step.Stage) {
		return fail(badStage(step.Stage))
	}
	step.Attempt, step.Detail = clean(step.Attempt, maxAttempt), clean(step.Detail, maxDetail)
	if err := b.plane.Progress(r.Context(), h.ID, step); err != nil {
		return fail(err)
	}
	return done()
}

// Names of documents: the main one of an installer's configuration, and those
// of a NoCloud seed as cloud-init asks for them.
const (
	mainDocument  = "config"
	userData      = "user-data"
	metaData      = "meta-data"
	vendorData    = "vendor-data"
	networkConfig = "network-config"
)

// config is the main document of an attempt. One that is over is answered with
// user-data that does nothing: the installed system keeps the URL and asks again
// at each boot from its disk.
func (b *bootPlane) config(r *http.Request) Response {
	d, err := b.document(r, mainDocument)
	if provisioner.KindOf(err) == provisioner.Gone {
		return inert(inertConfig)
	}
	return answer(d, err)
}

// seed is one file of a NoCloud seed. The main document is the user-data of an
// installer that has no other.
func (b *bootPlane) seed(r *http.Request) Response {
	name := r.PathValue("name")
	switch name {
	case userData, metaData, vendorData, networkConfig:
	default:
		return refuse(http.StatusNotFound, "a seed has no file %.40q", name)
	}
	d, err := b.document(r, name)
	if name == userData && provisioner.KindOf(err) == provisioner.NotFound {
		d, err = b.document(r, mainDocument)
	}
	if provisioner.KindOf(err) == provisioner.Gone {
		return inertSeed(name, r.PathValue("attempt"))
	}
	return answer(d, err)
}

// inertSeed is the seed of an attempt that is over. Its instance is always the
// same: with a new one cloud-init would do its first boot over and over.
func inertSeed(name, attempt string) Response {
	switch {
	case name == userData:
		return inert(inertConfig)
	case name == metaData && stageName(attempt):
		return inert("instance-id: " + attempt + "\n")
	}
	return refuse(http.StatusNotFound, "this attempt is over; it has no %s", name)
}

func inert(body string) Response {
	return Response{Status: http.StatusOK, Type: cloudConfig, Body: []byte(body)}
}

func answer(d provisioner.Document, err error) Response {
	if err != nil {
		return fail(err)
	}
	if d.Type == "" {
		d.Type = "text/plain; charset=utf-8"
	}
	return Response{Status: http.StatusOK, Type: d.Type, Body: d.Content}
}

// document asks for a document of an attempt that is admitted. Whether it is
// over, the plane may know better than the copy that admits.
func (b *bootPlane) document(r *http.Request, name string) (provisioner.Document, error) {
	id := provisioner.AttemptID(r.PathValue("attempt"))
	if err := b.admit(id, r.PathValue("token")); err != nil {
		return provisioner.Document{}, err
	}
	return b.plane.Document(r.Context(), id, name)
}

func (b *bootPlane) step(id provisioner.AttemptID, r *http.Request) Response {
	stage := r.PathValue("stage")
	if !stageName(stage) {
		return fail(badStage(stage))
	}
	detail, err := readBody(r, smallBody)
	if err != nil {
		return fail(err)
	}
	if err := b.plane.Step(r.Context(), id, stage, clean(string(detail), maxDetail)); err != nil {
		return fail(err)
	}
	return done()
}

// powerOff is what an installed system is told that calls and must power off:
// the one word of the answer, so that a shell can compare it.
const powerOff = "poweroff"

func (b *bootPlane) booted(id provisioner.AttemptID, r *http.Request) Response {
	if err := b.plane.Booted(r.Context(), id, remote(r)); err != nil {
		return fail(err)
	}
	off, err := b.plane.Dismiss(r.Context(), id, remote(r))
	switch {
	case err != nil:
		return fail(err)
	case off:
		return Response{Status: http.StatusOK, Type: "text/plain; charset=utf-8", Body: []byte(powerOff + "\n")}
	}
	return done()
}

// register wants the token twice: in the URL that the installed system was
// given, and from the agent itself.
func (b *bootPlane) register(id provisioner.AttemptID, r *http.Request) Response {
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if h, found := b.hosts.ByAttempt(id); !isBearer || !found || !h.Status.Attempt.Token.Matches(bearer) {
		return refuse(http.StatusForbidden, "registration wants the attempt's token as Authorization: Bearer TOKEN")
	}
	said := map[string]any{}
	if err := decodeLoose(r, smallBody, &said); err != nil {
		return fail(err)
	}
	claims, err := flat(said)
	if err == nil {
		err = checkClaims(claims)
	}
	if err != nil {
		return fail(err)
	}
	receipt, err := b.plane.Register(r.Context(), id, remote(r), claims)
	if provisioner.KindOf(err) == provisioner.Conflict {
		return b.unregistered(id, r, err)
	}
	if err != nil {
		return fail(err)
	}
	return ok(v1.Registered{ID: receipt.ID})
}

// unregistered refuses an agent, and tells that of a host that ships to power it
// off.
func (b *bootPlane) unregistered(id provisioner.AttemptID, r *http.Request, why error) Response {
	off, err := b.plane.Dismiss(r.Context(), id, remote(r))
	if err != nil {
		return fail(err)
	}
	if !off {
		return fail(why)
	}
	resp := refuse(http.StatusConflict, "this host is staged for shipment and registers at its final site: power it off")
	resp.Body.(*v1.Problem).Do = powerOff
	return resp
}

// flat writes what an agent says of itself as text, lists joined by spaces.
// Agents differ; what they say is kept, and none of it is obeyed.
func flat(said map[string]any) (map[string]string, error) {
	claims := make(map[string]string, len(said))
	for name, value := range said {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		words := make([]string, len(list))
		for i, v := range list {
			switch v.(type) {
			case map[string]any, []any:
				return nil, invalid("claim %.32q is not the JSON that is wanted here: send texts, numbers or lists of them", name)
			}
			words[i] = fmt.Sprint(v)
		}
		claims[name] = strings.Join(words, " ")
	}
	return claims, nil
}

func checkClaims(claims map[string]string) error {
	if len(claims) > maxClaims {
		return invalid("%d claims are too many: send at most %d", len(claims), maxClaims)
	}
	for name, value := range claims {
		if name == "" || len(name) > maxClaimName || len(value) > maxClaimValue {
			return invalid("claim %.32q: names have 1 to %d bytes, values at most %d", name, maxClaimName, maxClaimValue)
		}
		claims[name] = clean(value, maxClaimValue)
	}
	return nil
}

func stageName(stage string) bool {
	return stage != "" && len(stage) <= 32 && strings.Trim(stage, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func badStage(stage string) error {
	return invalid("%.40q is no stage: use 1 to 32 of a-z, 0-9 and -", stage)
}

// clean makes a text from a host fit for a journal line and a terminal.
func clean(text string, limit int) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return ' '
		}
		return c
	}, text)
	text = strings.TrimSpace(text)
	for len(text) > limit {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
