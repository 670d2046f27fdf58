package api

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// The calls that installers and installed systems make by themselves, each in
// its own form. All of them may come again, and none needs more than the token
// in its URL: most can send no header.

// phoneHome is cloud-init's way to say that the system booted, which registers
// the host too: it can send no header, so the token in the URL is enough.
// Where the hand-off wants another agent's call, this one only says that the
// system booted.
func (b *bootPlane) phoneHome(id provisioner.AttemptID, r *http.Request) Response {
	claims, err := phoneHomeClaims(r)
	if err != nil {
		return fail(err)
	}
	if err := b.plane.Booted(r.Context(), id, remote(r)); err != nil {
		return fail(err)
	}
	_, err = b.plane.Register(r.Context(), id, remote(r), claims)
	if err != nil && provisioner.KindOf(err) != provisioner.Conflict {
		return fail(err)
	}
	return done()
}

// phoneHomeClaims reads the form of cloud-init's module phone_home. Its public
// keys are left out: they are no claim that anybody checks.
func phoneHomeClaims(r *http.Request) (map[string]string, error) {
	body, err := readBody(r, smallBody)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("the body is no form: %v", err)
	}
	claims := map[string]string{"agent": "cloud-init"}
	for _, name := range []string{"instance_id", "hostname", "fqdn"} {
		if value := clean(form.Get(name), maxClaimValue); value != "" {
			claims[name] = value
		}
	}
	return claims, nil
}

// kairosNode is what kairos-agent says where its configuration has phonehome.
type kairosNode struct {
	MachineID string            `json:"machineID"`
	Hostname  string            `json:"hostname"`
	Token     string            `json:"registrationToken"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// kairosCredentials are what it wants in return, and keeps.
type kairosCredentials struct {
	ID     string `json:"id"`
	APIKey string `json:"apiKey"`
}

// kairosRegister registers the host by kairos-agent's own phonehome. The key
// that it is given opens nothing: muster sends systems no commands, and there
// is no route to connect to.
func (b *bootPlane) kairosRegister(id provisioner.AttemptID, r *http.Request) Response {
	var node kairosNode
	if err := decodeLoose(r, smallBody, &node); err != nil {
		return fail(err)
	}
	if h, found := b.hosts.ByAttempt(id); !found || !h.Status.Attempt.Token.Matches(node.Token) {
		return refuse(http.StatusUnauthorized, "phonehome.registration_token is not the token of this attempt")
	}
	claims := map[string]string{"agent": "kairos-agent"}
	for name, value := range map[string]string{"machine_id": node.MachineID, "hostname": node.Hostname} {
		if value = clean(value, maxClaimValue); value != "" {
			claims[name] = value
		}
	}
	if err := b.plane.Booted(r.Context(), id, remote(r)); err != nil {
		return fail(err)
	}
	receipt, err := b.plane.Register(r.Context(), id, remote(r), claims)
	if err != nil {
		return fail(err)
	}
	return ok(kairosCredentials{ID: receipt.ID, APIKey: "none"})
}

// event is what curtin, Ubuntu's installer and cloud-init report. The files
// that some attach are left out.
type event struct {
	Name        string `json:"name"`        // of the thing, with those that it is part of, as "subiquity/Install/install"
	Description string `json:"description"` // for people
	Type        string `json:"event_type"`  // start or finish
	Result      string `json:"result,omitempty"`
	Origin      string `json:"origin"` // curtin (Ubuntu's installer too), cloudinit
}

// Words of events.
const (
	eventStart  = "start"
	eventFinish = "finish"
	eventFail   = "FAIL"
	eventGood   = "SUCCESS"
)

// maxEvent bounds an event; some have log files in them.
const maxEvent = 8 << 20

// Bounds of what becomes of events: the outermost parts are stages that people
// follow, and the rest is for the installer's own log.
const (
	maxEventDepth = 3
	maxStageName  = 32
)

// reported takes an event. Only few become stages; what is not one is answered
// well, as the installer has nothing to do about it.
func (b *bootPlane) reported(id provisioner.AttemptID, r *http.Request) Response {
	var e event
	if err := decodeLoose(r, maxEvent, &e); err != nil {
		return fail(err)
	}
	stage, detail, wanted := e.stage()
	if !wanted {
		return done()
	}
	detail = strings.ReplaceAll(detail, r.PathValue("token"), "********") // commands are told as they are written
	err := b.plane.Step(r.Context(), id, stage, clean(detail, maxDetail))
	if err != nil && provisioner.KindOf(err) != provisioner.Invalid { // too many of them
		return fail(err)
	}
	return done()
}

// installedBy are the events whose good end is that of the installation:
// Ubuntu's last commands, and curtin where it is alone.
var installedBy = []string{"subiquity/Late/run", "cmd-install"}

// stageInstallerFailed is a stage of an installer that says what went wrong.
const stageInstallerFailed = "installer-failed"

// stage is what an event means, if anything.
func (e event) stage() (stage, detail string, wanted bool) {
	parts := strings.Split(e.Name, "/")
	last := parts[len(parts)-1]
	switch {
	case e.Type == eventFinish && e.Result == eventFail:
		return stageInstallerFailed, cmp.Or(e.Description, e.Name) + " (" + e.Name + ")", true
	case e.Type == eventFinish && e.Result == eventGood && slices.Contains(installedBy, e.Name):
		return provisioner.StageWritten, e.Description, true
	case e.Type != eventStart, len(parts) > maxEventDepth, strings.HasPrefix(last, "command_"):
		return "", "", false
	}
	stage = eventStage(parts)
	return stage, e.Description, stageName(stage)
}

// eventStage is a stage's name for the parts of an event's.
func eventStage(parts []string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, strings.Join(parts, "-"))
	return strings.Trim(name[:min(len(name), maxStageName)], "-")
}
