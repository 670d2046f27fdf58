// Package palettetest is a stand-in for the Palette API, for tests and the demo:
// projects, registration tokens and Edge hosts, kept in memory, served over real
// connections, with the paths and fields of Palette's public API and its limit
// of requests for each source address. It can be told to fail.
//
// It shares no line with the driver that is tested against it, knows no clusters,
// and is no Palette: what its public documents leave open is decided here and
// said where it is. For tests, demo and bench only. Start at [New] and [Serve].
//
// # What an agent sends
//
// The agent's own call is not documented, so this is the stand-in's own form.
// An agent sends it when it starts, and again every 30 seconds or so as a sign of
// life:
//
//	POST /v1/edgehosts/register
//	Content-Type: application/json
//	EdgeHostToken: <stylus.site.edgeHostToken of the user-data>
//
//	{
//	  "metadata": {
//	    "uid":    "plant7-sn0001",            stylus.site.name
//	    "name":   "plant7-sn0001",            the same
//	    "labels": {"rack": "r4"}              stylus.site.tags
//	  },
//	  "spec": {
//	    "projectName": "Default",             stylus.site.projectName; or
//	    "projectUid":  "",                    stylus.site.projectUid; neither: the token's
//	    "agentVersion": "4.9.7",
//	    "device": {
//	      "archType": "amd64", "hostType": "appliance", "hostState": "registration",
//	      "cpu": {"cores": 4}, "memory": {"sizeInMB": 7938},
//	      "disks": [{"name": "nvme0n1", "size": 100, "controller": "nvme", "vendor": ""}],
//	      "nics": [{"nicName": "eno1", "macAddr": "52:54:00:00:00:01", "ip": "10.1.4.12", "isDefault": true}]
//	    },
//	    "host": {"hostAddress": "10.1.4.12", "macAddress": "52:54:00:00:00:01"}
//	  }
//	}
//
// Sizes of disks are in GB (10^9 bytes), memory in MiB. The answers: 200 with
// {"uid": ...} when the host is registered, also when it was before; 401 for a
// token that is unknown, expired or switched off; 404 for a project that is not
// there; 409 where another machine has the UID; 429 with Retry-After when its
// address asks too often. After anything but 200 the agent asks again later.
// Refusals have the body {"code": ..., "message": ...}.
package palettetest

import (
	"cmp"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Project is one project of the tenant.
type Project struct{ UID, Name string }

// Options of a stand-in. The zero value has the key "key", the projects Default
// and edge, and Palette's own limits.
type Options struct {
	Key      string // API key of the tenant
	Projects []Project
	Version  string  // of the agent that it hands out; empty: 4.9.7
	Rate     float64 // requests a second and source address; 0: 10
	Burst    int     // 0: 50
	Now      func() time.Time
}

// Faults are what a stand-in does wrong while it is told to. The zero value is a
// healthy one.
type Faults struct {
	Away    bool          // it closes every connection without an answer
	Status  int           // it answers every call with this, such as 500
	Garbage bool          // it answers every call with a page of HTML
	Slow    time.Duration // before each answer
	// Forgetful loses the answer to the making of a token: it is made, and the
	// connection ends.
	Forgetful bool
	Unhealthy string // a message: every Edge host is unhealthy, and says this
	Deaf      bool   // agents' registrations are not taken
}

// Server is a stand-in. It is an [http.Handler] and safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux

	mu       sync.Mutex
	faults   Faults
	projects map[string]string // names by uid
	tokens   map[string]*token
	hosts    map[string]*Host
	minted   int
	sources  map[string]*bucket
	counts   Counts
	second   map[int64]int
}

// Counts are what a stand-in was asked.
type Counts struct {
	Requests     int
	Limited      int            // answered 429
	MostInSecond int            // of any second of its clock
	Calls        map[string]int // by route
}

// New returns a stand-in that serves nobody yet.
func New(o Options) *Server {
	o.Key = cmp.Or(o.Key, "key")
	o.Version = cmp.Or(o.Version, "4.9.7")
	o.Rate = cmp.Or(o.Rate, 10)
	o.Burst = cmp.Or(o.Burst, 50)
	if o.Projects == nil {
		o.Projects = []Project{{"p-default", "Default"}, {"p-edge", "edge"}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		options: o, mux: http.NewServeMux(), projects: map[string]string{}, tokens: map[string]*token{},
		hosts: map[string]*Host{}, sources: map[string]*bucket{}, second: map[int64]int{},
	}
	s.counts.Calls = map[string]int{}
	for _, p := range o.Projects {
		s.projects[p.UID] = p.Name
	}
	s.routes()
	return s
}

// Fail has the stand-in fail so from now on; the zero value mends it.
func (s *Server) Fail(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Counts returns what was asked so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Calls = maps.Clone(c.Calls)
	return c
}

// SetKey changes the API key: the old one is worth nothing from now on.
func (s *Server) SetKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Key = key
}

// RemoveProject takes a project away; its hosts stay where they are.
func (s *Server) RemoveProject(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.projects, uid)
}

// Token is a registration token as a test sees it.
type Token struct {
	UID, Name, Project string
	Value              string
	Expiry             time.Time
	Active             bool
}

// Tokens are those that are there.
func (s *Server) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Token
	for _, t := range s.tokens {
		all = append(all, t.Token)
	}
	return all
}

// PutToken makes a token, as a tenant's administrator does by hand.
func (s *Server) PutToken(t Token) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addToken(t).Token
}

// Put makes an Edge host, or changes it, as somebody else did.
func (s *Server) Put(h Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Created.IsZero() {
		h.Created = s.options.Now()
	}
	s.hosts[h.UID] = &h
}

// Change edits an Edge host; it reports whether there is one.
func (s *Server) Change(uid string, edit func(*Host)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hosts[uid]
	if ok {
		edit(h)
	}
	return ok
}

// Host returns an Edge host.
func (s *Server) Host(uid string) (Host, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hosts[uid]
	if !ok {
		return Host{}, false
	}
	return *h, true
}
