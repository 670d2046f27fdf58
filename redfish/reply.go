package redfish

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// reply is one answer of a BMC. Status 0 means that none came.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	messages []message
}

// message is one entry of @Message.ExtendedInfo (DSP0266 §8.6).
type message struct {
	id    string // without registry and version: "LicenseKeyRequired"
	text  string
	args  []string
	about []string // related properties, last part only
}

// newReply reads the messages of an answer. 2xx answers may carry some too.
func newReply(status int, header http.Header, body []byte) reply {
	r := reply{status: status, header: header, body: body}
	o, ok := parseObject(body)
	if !ok {
		if status >= http.StatusBadRequest && len(body) > 0 {
			r.messages = []message{{text: firstLine(string(body))}}
		}
		return r
	}
	const most = 16
	for _, info := range slices.Concat(o.Objects("error", "@Message.ExtendedInfo"), o.Objects("@Message.ExtendedInfo"), o.Objects("Messages")) {
		if len(r.messages) < most {
			r.messages = append(r.messages, newMessage(info))
		}
	}
	if len(r.messages) == 0 && o.Object("error") != nil {
		r.messages = []message{newMessage(Object{"MessageId": o.Text("error", "code"), "Message": o.Text("error", "message")})}
	}
	return r
}

func newMessage(info Object) message {
	id := info.Text("MessageId")
	if id == "" {
		id = info.Text("MessageID")
	}
	m := message{
		id:   id[strings.LastIndexByte(id, '.')+1:],
		text: firstLine(info.Text("Message")),
		args: info.Texts("MessageArgs"),
	}
	for _, property := range info.Texts("RelatedProperties") {
		m.about = append(m.about, property[strings.LastIndexAny(property, "/#.")+1:])
	}
	return m
}

// firstLine bounds what a BMC says to something that can be printed.
func firstLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// without is r with the words of its messages free of passwords: some BMCs repeat
// the value that they refuse.
func (r reply) without(passwords ...Secret) reply {
	r.messages = slices.Clone(r.messages)
	for i := range r.messages {
		for _, p := range passwords {
			if p != "" {
				r.messages[i].text = strings.ReplaceAll(r.messages[i].text, string(p), "********")
			}
		}
	}
	return r
}

func (r reply) ok() bool { return r.status >= 200 && r.status < 300 }

// says reports whether a message's id or text holds one of the parts, any case.
func (r reply) says(parts ...string) bool {
	for _, m := range r.messages {
		all := strings.ToLower(m.id + " " + m.text)
		if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(all, strings.ToLower(p)) }) {
			return true
		}
	}
	return false
}

// words is the answer in the BMC's own words.
func (r reply) words() string {
	if r.status == 0 {
		return "nothing, its answer got lost"
	}
	var said []string
	for _, m := range r.messages {
		if m.text != "" || m.id != "" {
			said = append(said, strings.TrimSpace(m.id+": "+m.text))
		}
	}
	const most = 3
	if len(said) > most {
		said = said[:most]
	}
	if len(said) == 0 {
		return fmt.Sprintf("HTTP %d", r.status)
	}
	return fmt.Sprintf("HTTP %d, %s", r.status, strings.Join(said, "; "))
}

// cause reads why an answer is a refusal. It knows the messages of registry
// "Base" (DSP8011) and those that makers are known to send.
func (r reply) cause(q quirk.Quirk) Cause {
	says := r.says
	switch {
	case r.ok():
		return ""
	case says("PasswordChangeRequired"):
		return NewPassword
	case len(q.Licence.Says) > 0 && says(q.Licence.Says...), says("LicenseKeyRequired", "OemLicenseNotPassed", "not licensed", "license required", "licence required"):
		return Licence
	case says("SessionLimitExceeded", "maximum number of user sessions"):
		return Sessions
	case r.status == http.StatusUnauthorized:
		return WrongPassword
	case says("InsufficientPrivilege"), r.status == http.StatusForbidden:
		return Rights
	case says("VirtualMediaIsDisabled", "virtual media is disabled", "media service is disabled"):
		return MediaOff
	case says("DuringSystemPOST"):
		return POST
	case says("ResourceAtUriInUnknownFormat", "FileTransferProtocolMismatch", "ActionParameterValueFormatError", "protocol is not supported", "unsupported protocol"):
		return Scheme
	case r.busy():
		return Busy
	}
	return Refused
}

// busy reports whether the BMC wants to be asked again later. 409 is not in it:
// it is a state that must be looked at first.
func (r reply) busy() bool {
	switch r.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return !r.ok() && r.says("ServiceTemporarilyUnavailable", "ServiceInUnknownState", "ResourceInStandby", "SYS518", "iDRAC is not ready", "ServiceShuttingDown")
}

// fault makes the sentence for a refusal. op says what was asked, as "insert
// the medium".
func (r reply) fault(op string, q quirk.Quirk) *Fault {
	said := r.words()
	switch c := r.cause(q); c {
	case Licence:
		name := q.Licence.Name
		if name == "" {
			name = "for virtual media"
		}
		return operator(c, fmt.Sprintf("licence missing: the BMC refused to %s without its licence (%s); add the licence or boot this host by PXE: %s", op, name, said))
	case MediaOff:
		return operator(c, fmt.Sprintf("the BMC refused to %s: virtual media are switched off in its settings; switch them on there, or boot this host by PXE: %s", op, said))
	case NewPassword:
		f := operator(c, "the BMC wants its password changed before it does anything; give muster a new one to set, or change it there and give that one: "+said)
		f.account = r.account()
		return f
	case Sessions:
		return retry(c, "all sessions of the BMC are taken; close some in its web page, or wait until they time out: "+said, nil)
	case WrongPassword:
		return operator(c, fmt.Sprintf("the BMC refused the account when asked to %s; it is not tried again, to not lock it: give the right user and password", op))
	case Rights:
		return operator(c, fmt.Sprintf("the account may not %s; give it the rights of an administrator in the BMC: %s", op, said))
	case POST:
		return retry(c, fmt.Sprintf("the BMC does not %s while the host starts: %s", op, said), nil)
	case Busy:
		return retry(c, fmt.Sprintf("the BMC is busy and did not %s: %s", op, said), nil)
	case Scheme:
		return operator(c, fmt.Sprintf("the BMC refused to %s: it does not take this kind of URL: %s", op, said))
	}
	if r.status >= http.StatusInternalServerError || r.status == http.StatusConflict {
		return retry(Refused, fmt.Sprintf("the BMC could not %s: %s", op, said), nil)
	}
	return operator(Refused, fmt.Sprintf("the BMC refused to %s: %s", op, said))
}

// account is the account that a PasswordChangeRequired is about: its only
// argument (DSP8011 Base.PasswordChangeRequired).
func (r reply) account() string {
	for _, m := range r.messages {
		for _, arg := range m.args {
			if path := local(arg); m.id == "PasswordChangeRequired" && path != "" {
				return path
			}
		}
	}
	return ""
}
