package bmc

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/ipmi"
)

// Checked is what a BMC is and what it can do for its host. Nothing was changed
// to find out.
type Checked struct {
	Address     string   `json:"address"`
	Driver      string   `json:"driver"`
	Vendor      string   `json:"vendor,omitempty"`
	Model       string   `json:"model,omitempty"` // of the BMC
	Firmware    string   `json:"firmware,omitempty"`
	Redfish     string   `json:"redfish,omitempty"` // version
	Host        string   `json:"host,omitempty"`    // the host's model
	Fingerprint string   `json:"fingerprint,omitempty"`
	Power       string   `json:"power,omitempty"`
	Quirks      string   `json:"quirks,omitempty"` // the row that applies
	Why         string   `json:"why,omitempty"`    // it applies
	Proof       string   `json:"proof,omitempty"`  // what that row was tried on
	Answers     []Answer `json:"answers"`
	Cannot      []string `json:"cannot,omitempty"` // what this driver cannot do here
}

// Answer is one question about a BMC, with what was seen.
type Answer struct {
	About Question `json:"about"`
	Says  Says     `json:"says"`
	Seen  string   `json:"seen"`
}

// Question is what is asked of a BMC.
type Question string

// The questions.
const (
	MediaBoot   Question = "media boot"
	HTTPBoot    Question = "HTTP boot"
	NetworkBoot Question = "network boot"
	Licence     Question = "licence"
	ClockRight  Question = "clock right"
)

// Says is an answer in a word.
type Says string

// The words. Unknown is what shows only when it is tried.
const (
	Yes     Says = "yes"
	No      Says = "no"
	Unknown Says = "unknown"
)

// Boots reports whether there is a way in which the BMC starts its host.
func (c Checked) Boots() bool {
	for _, a := range c.Answers {
		if a.Says == Yes && (a.About == MediaBoot || a.About == HTTPBoot || a.About == NetworkBoot) {
			return true
		}
	}
	return false
}

// Check says what h's BMC can do, and by what that was seen. It changes nothing.
func (c *Controller) Check(ctx context.Context, h provisioner.Host) (Checked, error) {
	var checked Checked
	err := c.call(ctx, h, false, nil, func(l line) (err error) {
		checked, err = l.check(ctx)
		checked.Address = h.BMCAddress()
		return err
	})
	return checked, err
}

func (l *redfishLine) check(ctx context.Context) (Checked, error) {
	can, err := l.bmc.Check(ctx, sampleMedium(), l.c.opts.Now)
	if err != nil {
		return Checked{}, err
	}
	for _, slot := range can.State.Slots {
		if slot.Connected() {
			can.Medium.Why += fmt.Sprintf("; a medium is in slot %s: %s", slot.ID, cmp.Or(slot.Image, "it does not say which"))
		}
	}
	about := can.About
	p := about.Product
	return Checked{
		Driver: Redfish, Vendor: cmp.Or(p.Vendor, p.Maker), Model: cmp.Or(p.Manager, p.Name), Firmware: p.Firmware, Redfish: p.Redfish,
		Host: p.Model, Fingerprint: about.Fingerprint, Power: string(can.State.Power),
		Quirks: about.Family, Why: about.Why,
		Proof:   fmt.Sprintf("emulated: %s; independent service: %s; real hardware: %s", about.Proof.Emulated, about.Proof.Service, about.Proof.Hardware),
		Answers: answers(can), Cannot: cannot(can),
	}, nil
}

// answers puts what was read into words.
func answers(can redfish.Check) []Answer {
	return []Answer{
		answer(MediaBoot, can.Medium), answer(HTTPBoot, can.HTTP), answer(NetworkBoot, can.Network),
		licence(can.Licence), clock(can.Skew),
	}
}

func answer(q Question, a redfish.Ability) Answer {
	if a.Can {
		return Answer{q, Yes, a.Why}
	}
	return Answer{q, No, a.Why}
}

// licence says whether the one that media need is there. Where the BMC does not
// list any, only an insert shows.
func licence(l redfish.Licences) Answer {
	has := "it lists no licence"
	if len(l.Has) > 0 {
		has = "it has " + strings.Join(l.Has, ", ")
	}
	switch {
	case l.Needs == "" && len(l.Has) > 0:
		return Answer{Licence, Yes, "none is known to be needed for media here; " + has}
	case l.Needs == "":
		return Answer{Licence, Unknown, "none is known to be needed for media here"}
	case l.Brings:
		return Answer{Licence, Yes, has}
	case l.Listed && l.Tells:
		return Answer{Licence, No, fmt.Sprintf("media need %s here, and %s: add it, or boot this host by PXE", l.Needs, has)}
	}
	return Answer{Licence, Unknown, fmt.Sprintf("media need %s here, and %s: whether it is there shows at the first insert", l.Needs, has)}
}

// clock judges a BMC's clock: one that is far off refuses good certificates.
func clock(skew *time.Duration) Answer {
	const most = 5 * time.Minute
	switch {
	case skew == nil:
		return Answer{ClockRight, Unknown, "it does not tell its time"}
	case skew.Abs() > most:
		return Answer{ClockRight, No, fmt.Sprintf("it is %s; set it, or let it ask an NTP server", ahead(*skew))}
	}
	return Answer{ClockRight, Yes, "it is " + ahead(*skew)}
}

func ahead(skew time.Duration) string {
	if skew < 0 {
		return skew.Abs().Round(time.Second).String() + " behind"
	}
	return skew.Round(time.Second).String() + " ahead"
}

func (l *ipmiLine) check(ctx context.Context) (Checked, error) {
	seen, err := l.seen(ctx, provisioner.BMC{})
	if err != nil {
		return Checked{}, err
	}
	const none = "IPMI has none"
	return Checked{Driver: IPMI, Power: seen.Power, Cannot: ipmi.Cannot(), Answers: []Answer{
		{MediaBoot, No, none}, {HTTPBoot, No, none},
		{NetworkBoot, Yes, "IPMI names PXE for one boot; whether the firmware obeys, the host's DHCP packet shows"},
		{Licence, Unknown, "IPMI needs none that is known"},
		{ClockRight, Unknown, "it is not read by IPMI"},
	}}, nil
}
