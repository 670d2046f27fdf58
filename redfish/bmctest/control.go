package bmctest

import (
	"encoding/json"
	"io"
	"net/http"
)

// controlRoot is where [Emulator.Control] lies beside the service.
const controlRoot = "/control/"

// State is what [Emulator.Control] shows.
type State struct {
	Personality string    `json:"personality"`
	On          bool      `json:"on"`
	Moving      bool      `json:"moving"` // a power change is going on
	Inserted    []string  `json:"inserted"`
	Target      string    `json:"target"`
	Enabled     string    `json:"enabled"`
	Mode        string    `json:"mode"`
	Sessions    int       `json:"sessions"`
	Boots       []Boot    `json:"boots"`
	Fetches     []Fetch   `json:"fetches"`
	Requests    []Request `json:"requests"`
	Problems    []string  `json:"problems"`
}

// State is how the BMC and its machine stand.
func (e *Emulator) State() State {
	s := State{
		Personality: e.rules.Name, On: e.machine.On(), Inserted: e.Inserted(),
		Boots: e.Boots(), Fetches: e.Fetches(), Requests: e.Requests(), Problems: e.Problems(),
	}
	s.Target, s.Enabled, s.Mode = e.Override()
	s.Sessions, _, _ = e.Sessions()
	e.mu.Lock()
	s.Moving = e.power.moving
	e.mu.Unlock()
	return s
}

// Control lets a person make the BMC fail: GET /control/state, POST
// /control/fail with a [Fault], POST /control/heal. It asks for no password.
func (e *Emulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlRoot+"state", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(e.State()) // who asked may be gone
	})
	mux.HandleFunc("POST "+controlRoot+"fail", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&f)
		if err == nil {
			err = e.Fail(f)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST "+controlRoot+"heal", func(w http.ResponseWriter, _ *http.Request) {
		e.Heal()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
