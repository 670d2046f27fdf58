package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// MediaType is that of a CloudEvent in structured mode (CloudEvents 1.0.2, HTTP
// protocol binding §3.2).
const MediaType = "application/cloudevents+json; charset=utf-8"

// TypePrefix begins the types of events; the kind of the entry follows.
const TypePrefix = "com.github.muster-boot.host."

// event is a CloudEvent 1.0 in its JSON format.
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        any       `json:"data"`
}

// Message is one event as it goes over the wire.
type Message struct {
	ID   string // the same whenever the same entry is told
	Body []byte
}

// idOf names an entry: its host's id and its number, which no other has.
func idOf(e provisioner.Entry) string { return string(e.Host) + "-" + strconv.FormatUint(e.Seq, 10) }

// newMessage makes the event of an entry.
func newMessage(source string, e provisioner.Entry, data any) (Message, error) {
	id := idOf(e)
	body, err := json.Marshal(event{
		SpecVersion: "1.0", ID: id, Source: source, Type: TypePrefix + string(e.Kind), Subject: string(e.Host),
		Time: e.At.UTC(), ContentType: "application/json", Data: data,
	})
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", id, err)
	}
	return Message{ID: id, Body: body}, nil
}

// Names of the headers of a signed message (Standard Webhooks 1.0).
const (
	HeaderID        = "webhook-id"
	HeaderTime      = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// LeastSecret is the least length of a secret, in bytes.
const LeastSecret = 24

// Sign is the signature of m at a time: HMAC-SHA256 over id, seconds since 1970
// and body, joined by dots.
func (m Message) Sign(secret []byte, at time.Time) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.", m.ID, at.Unix())
	mac.Write(m.Body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (m Message) header(secret []byte, at time.Time) http.Header {
	h := http.Header{}
	h.Set("Content-Type", MediaType)
	h.Set("User-Agent", "muster")
	h.Set(HeaderID, m.ID)
	h.Set(HeaderTime, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, m.Sign(secret, at))
	return h
}

// secretPrefix begins a secret that is written in base64 (Standard Webhooks 1.0).
const secretPrefix = "whsec_"

// ReadSecret is the secret in a file: after whsec_ base64, else the text itself
// without the line's end. Its errors do not quote it.
func ReadSecret(text []byte) ([]byte, error) {
	line := strings.TrimSpace(string(text))
	if coded, ok := strings.CutPrefix(line, secretPrefix); ok {
		secret, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return nil, errors.New("what follows " + secretPrefix + " is no base64")
		}
		line = string(secret)
	}
	if len(line) < LeastSecret {
		return nil, fmt.Errorf("%d bytes are too short for a secret: make one with: head -c 32 /dev/urandom | base64", len(line))
	}
	return []byte(line), nil
}

// wants tells whether a hook is told of an entry.
func (h Hook) wants(e provisioner.Entry) bool {
	if len(h.Events) == 0 || slices.Contains(h.Events, string(e.Kind)) {
		return true
	}
	return e.Kind == provisioner.EntryMove && slices.Contains(h.Events, string(e.Phase))
}

// trust is whose certificates count.
func trust(ca []byte) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == nil {
		return config, nil
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(bytes.TrimSpace(ca)) {
		return nil, errors.New("its ca_file holds no certificate in PEM")
	}
	return config, nil
}
