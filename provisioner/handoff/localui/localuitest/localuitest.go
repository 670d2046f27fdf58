// Package localuitest is a stand-in for the Edge Management API that a Palette
// edge host serves on its port 5080, for tests, the demo and its appliance.
//
// It keeps state, holds to the rules that a caller can break (five bad log-ins
// lock an account for fifteen minutes, link tokens live for two), and fails as
// it is told. It has what the public API document describes of log-in, the
// host's own record, uploads and linking, and nothing of clusters. It shares
// no code with the client it is there to try. Start at [New] and [Server.Serve].
package localuitest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Host is who the stand-in says that it is.
type Host struct {
	ID            string // the Palette UID
	Name          string
	Mode          string // local or central
	Agent         string // its version
	Configuration string // pending, inprogress or configured; empty: configured
	Cores         int
	MemoryMB      int64
	Disks         []Disk
	NICs          []NIC
	MultiNode     bool // may be linked
}

// NIC is one network interface.
type NIC struct {
	Name string `json:"nicName"`
	MAC  string `json:"macAddr"`
	IP   string `json:"ip"`
	Main bool   `json:"isDefault"`
}

// Disk is one disk.
type Disk struct {
	GB         int    `json:"size"`
	Vendor     string `json:"vendor"`
	Controller string `json:"controller"`
}

// Options of a stand-in.
type Options struct {
	Host Host
	// Login tells whether a user may log in with a password; nil: nobody may.
	Login func(user, password string) bool
	// CertFile keeps the host's certificate over restarts; empty: each stand-in
	// makes its own.
	CertFile string
	Now      func() time.Time // nil means time.Now
}

// Faults are what goes wrong. The zero value is a host that works.
type Faults struct {
	Slow      time.Duration // before each answer
	Cut       int64         // an upload is cut off after so many bytes, once; 0: none is
	Down      bool          // everything but ping is answered 503
	Shy       bool          // ping wants a log-in, too
	Forgets   bool          // uploads are taken and not kept
	NoAnswer  bool          // connections are closed without an answer
	OtherHost *Host         // says it is this one instead
	// Hold keeps uploads from being taken until it is closed; nil: none is.
	Hold <-chan struct{}
}

// Server is one stand-in host. Its methods are safe for concurrent use.
type Server struct {
	options Options
	cert    tls.Certificate
	secret  []byte // link tokens are made of it

	mu         sync.Mutex
	faults     Faults
	bad        map[string]int       // log-ins that failed in a row, by user
	locked     map[string]time.Time // until when, by user
	sessions   map[string]time.Time // until when, by token
	content    *upload              // the last one
	definition string               // where it lies on the host
	peers      map[string]string    // address by id
	leader     string               // whom it joined; empty: nobody
	counts     Counts
}

// Counts are what was asked of a stand-in since it is there.
type Counts struct {
	Logins, Uploads int
	Bytes           int64 // of uploads, cut ones too
	Running         int   // uploads at this moment
	Parallel        int   // uploads at one time, at most
}

// Times of the rules.
const (
	lockAfter    = 5 // bad log-ins
	lockTime     = 15 * time.Minute
	sessionTime  = 2 * time.Hour
	extendedTime = 24 * time.Hour
)

// New returns a stand-in with a certificate of its own that has done nothing.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	cert, err := certificate(o.Host.ID, o.CertFile)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o, cert: cert, secret: make([]byte, 32),
		bad: map[string]int{}, locked: map[string]time.Time{}, sessions: map[string]time.Time{}, peers: map[string]string{},
	}
	_, _ = rand.Read(s.secret) // it never fails
	return s, nil
}

// Fail has everything from now on go wrong like this.
func (s *Server) Fail(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Counts tells what was asked so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Serve answers https on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler is the API without its TLS.
func (s *Server) Handler() http.Handler {
	const current = "/v1/edge-mgmt/edgehosts/current"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ping", s.ping)
	mux.HandleFunc("POST /v1/users/default/login", s.login)
	for route, serve := range map[string]http.HandlerFunc{
		"GET " + current: s.current,
		"GET " + current + "/uploaded-content/details":              s.contentDetails,
		"GET /v1/edge-mgmt/clusters/archive/overridden/details":     s.definitionDetails,
		"POST " + current + "/actions/upload-content":               s.uploadContent,
		"POST " + current + "/actions/upload-clusterconfig":         s.uploadDefinition,
		"POST " + current + "/link/generate-token":                  s.generateToken,
		"POST " + current + "/link":                                 s.link,
		"GET " + current + "/link/status":                           s.linkStatus,
		"GET /v1/edge-mgmt/edgehosts/current/configurations/status": s.configurationStatus,
	} {
		mux.HandleFunc(route, s.session(serve))
	}
	mux.HandleFunc("POST "+joinPath, s.join)
	return s.troubled(mux)
}

// troubled has the faults of the moment befall every request.
func (s *Server) troubled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := s.trouble()
		if f.Slow > 0 {
			timer := time.NewTimer(f.Slow)
			defer timer.Stop()
			select {
			case <-r.Context().Done():
			case <-timer.C:
			}
		}
		switch {
		case f.NoAnswer:
			panic(http.ErrAbortHandler)
		case f.Shy && r.URL.Path == "/v1/ping":
			refuse(w, http.StatusUnauthorized, "Unauthorized", "log in first")
		case f.Down && r.URL.Path != "/v1/ping":
			refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the agent is starting")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) trouble() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

func (s *Server) ping(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"msg": "pong"})
}

// login keeps the rule of the lock-out: while it lasts the right password is
// refused too.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var said struct{ Username, Password string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<10)).Decode(&said); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidInput", "the body is not JSON")
		return
	}
	right := s.options.Login != nil && s.options.Login(said.Username, said.Password)
	token, locked := s.admit(said.Username, right, r.URL.Query().Has("extendedSession"))
	switch {
	case locked:
		refuse(w, http.StatusForbidden, "UserLocked", "the account is locked after too many failed logins, try again later")
	case token == "":
		refuse(w, http.StatusUnauthorized, "InvalidCredentials", "invalid username or password")
	default:
		answer(w, http.StatusOK, map[string]any{"IsFirstLogin": false, "Token": map[string]string{"Authorization": token}})
	}
}

// admit counts a log-in and gives its session.
func (s *Server) admit(user string, right, extended bool) (token string, locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Logins++
	now := s.options.Now()
	if now.Before(s.locked[user]) {
		return "", true
	}
	if !right {
		if s.bad[user]++; s.bad[user] >= lockAfter {
			s.bad[user], s.locked[user] = 0, now.Add(lockTime)
		}
		return "", false
	}
	s.bad[user] = 0
	token = random()
	s.sessions[token] = now.Add(sessionTime)
	if extended {
		s.sessions[token] = now.Add(extendedTime)
	}
	return token, false
}

func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// session admits requests that carry a token which still counts.
func (s *Server) session(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		until := s.sessions[r.Header.Get("Authorization")]
		s.mu.Unlock()
		if !s.options.Now().Before(until) {
			refuse(w, http.StatusUnauthorized, "Unauthorized", "log in first")
			return
		}
		next(w, r)
	}
}

func (s *Server) host() Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.faults.OtherHost; other != nil {
		return *other
	}
	return s.options.Host
}

func (s *Server) current(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.host().info())
}

// info is a host as the API shows it.
func (h Host) info() map[string]any {
	configuration := h.Configuration
	if configuration == "" {
		configuration = "configured"
	}
	return map[string]any{
		"metadata": map[string]any{"id": h.ID, "name": h.Name},
		"spec": map[string]any{
			"managementMode": h.Mode,
			"hardwareSpec": map[string]any{
				"archType": "amd64", "cpu": map[string]int{"cores": h.Cores},
				"memory": map[string]int64{"sizeInMB": h.MemoryMB}, "disks": h.Disks,
			},
			"networkInfo": h.NICs,
			"hostInfo":    map[string]any{"hostState": "registration", "hostType": "appliance", "secureBoot": false},
		},
		"status": map[string]any{
			"agentVersion": h.Agent, "configurationStatus": configuration, "hostName": h.Name, "isClusterPhase": false,
		},
	}
}

func (s *Server) configurationStatus(w http.ResponseWriter, _ *http.Request) {
	state := map[string]string{"": "Configured", "configured": "Configured", "inprogress": "In Progress", "pending": "Not Configured"}
	answer(w, http.StatusOK, map[string]string{"state": state[s.host().Configuration]})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody is there any more
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]string{"code": code, "message": strings.TrimSpace(message), "ref": ""})
}
