package provisioner

import "time"

// Handoff is what muster keeps of an order's hand-off by one driver, beside the
// order: the engine alone writes it. It is open when what the hosts need of the
// driver's service was made, and closed when that was taken back.
type Handoff struct {
	Order  OrderName `json:"order"`
	Driver string    `json:"driver"`
	State  []byte    `json:"state,omitempty"` // the driver's own, sealed; empty when closed
	Opened time.Time `json:"opened"`
	// Closing is when it was begun to take back what was made. Begun it is
	// repeated until it is done.
	Closing time.Time `json:"closing,omitzero"`
	Closed  time.Time `json:"closed,omitzero"`
	Said    string    `json:"said"`          // the driver's last sentence
	Ask     bool      `json:"ask,omitempty"` // Said needs a person

	Revision uint64 `json:"-"`
}

// Open tells whether hosts may be prepared with the state.
func (h Handoff) Open() bool { return len(h.State) > 0 && h.Closing.IsZero() }
