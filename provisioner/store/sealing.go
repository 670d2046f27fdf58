package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Box seals what must not lie on disk in clear; seal.Box is one.
type Box interface {
	Seal(plain []byte, context string) []byte
	Open(sealed []byte, context string) ([]byte, error)
}

// NewSealed returns a store that keeps templates, configurations and secrets of
// orders sealed in box. It also reads orders that were kept in clear, and seals each
// when it is next written.
func NewSealed(e Engine, now func() time.Time, box Box) *Store {
	s := New(e, now)
	s.box = box
	return s
}

// confidential is the part of an order that is sealed: what its hosts are given,
// in which people put passwords, whatever they are told of secrets.
type confidential struct {
	Template string                        `json:"template,omitempty"`
	Config   map[string]any                `json:"config,omitempty"`
	Secrets  map[string]provisioner.Secret `json:"secrets,omitempty"`
}

func sealedFor(name provisioner.OrderName) string { return "order " + string(name) }

// encodeOrder is an order as it is kept. What did not open stays as it was: it
// may be that the right key comes back.
func (s *Store) encodeOrder(o provisioner.Order) ([]byte, error) {
	part := confidential{o.Template, o.Config, o.Secrets}
	if s.box != nil && len(o.Sealed) == 0 && (part.Template != "" || len(part.Config)+len(part.Secrets) > 0) {
		plain, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		o.Sealed = s.box.Seal(plain, sealedFor(o.Name))
		o.Template, o.Config, o.Secrets = "", nil, nil
	}
	return json.Marshal(o)
}

// decodeOrder reads an order. One that does not open comes with what is sealed
// of it, and without the rest of it: whoever needs that says so, and the others
// can do without.
func (s *Store) decodeOrder(item Item) (o provisioner.Order, err error) {
	if err := json.Unmarshal(item.Value, &o); err != nil {
		return o, fmt.Errorf("%s does not read as an order: %w", item.Key, err)
	}
	o.Revision = item.Revision
	if len(o.Sealed) == 0 || s.box == nil {
		return o, nil
	}
	plain, unopened := s.box.Open(o.Sealed, sealedFor(o.Name))
	if unopened != nil {
		return o, nil
	}
	var part confidential
	if err := json.Unmarshal(plain, &part); err != nil {
		return o, fmt.Errorf("what is sealed of %s does not read: %w", item.Key, err)
	}
	o.Sealed, o.Template, o.Secrets = nil, part.Template, part.Secrets
	if part.Config != nil { // else it may lie beside, as it once did
		o.Config = part.Config
	}
	return o, nil
}
