package palettetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// routes are those of the public API that muster needs, and the agent's.
func (s *Server) routes() {
	for _, r := range []struct {
		pattern string
		scope   scope
		serve   func(w http.ResponseWriter, r *http.Request, project string)
	}{
		{"GET /v1/projects/metadata", tenant, s.listProjects},
		{"GET /v1/services/stylus/version", tenant, s.version},
		{"POST /v1/edgehosts/tokens", tenant, s.createToken},
		{"GET /v1/edgehosts/tokens", tenant, s.listTokens},
		{"GET /v1/edgehosts/tokens/{uid}", tenant, s.getToken},
		{"DELETE /v1/edgehosts/tokens/{uid}", tenant, s.deleteToken},
		{"PUT /v1/edgehosts/tokens/{uid}/state", tenant, s.switchToken},
		{"GET /v1/edgehosts/{uid}", project, s.getHost},
		{"DELETE /v1/edgehosts/{uid}", project, s.deleteHost},
		{"POST /v1/dashboard/edgehosts/search", project, s.search},
		{"POST /v1/edgehosts/register", agent, s.register},
	} {
		s.mux.HandleFunc(r.pattern, s.guarded(r.pattern, r.scope, r.serve))
	}
}

// scope is what a route is asked for, and who may.
type scope int

const (
	tenant  scope = iota // an API key, without ProjectUid
	project              // an API key; without ProjectUid nothing is seen
	agent                // a registration token
)

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.options.Now().UTC().Format(http.TimeFormat))
	f, wait := s.admit(r)
	switch {
	case f.Away:
		hangUp()
	case wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		refuse(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests")
		return
	}
	if f.Slow > 0 {
		select {
		case <-time.After(f.Slow):
		case <-r.Context().Done():
			hangUp() // to return would say 200
		}
	}
	switch {
	case f.Status != 0:
		refuse(w, f.Status, "InternalError", "something went wrong")
	case f.Garbage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Welcome to the hotel's network</body></html>")
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// hangUp ends the answer, and with HTTP/1.1 the connection, without a word: it
// is how net/http is told to.
func hangUp() { panic(http.ErrAbortHandler) }

// admit counts a request and says what is to go wrong with it, or how long its
// source is to wait.
func (s *Server) admit(r *http.Request) (Faults, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.Away {
		return s.faults, 0 // it never came here
	}
	now := s.options.Now()
	s.counts.Requests++
	s.second[now.Unix()]++
	s.counts.MostInSecond = max(s.counts.MostInSecond, s.second[now.Unix()])
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	b := s.sources[from]
	if b == nil {
		b = &bucket{left: float64(s.options.Burst), at: now}
		s.sources[from] = b
	}
	wait := b.take(now, s.options.Rate, float64(s.options.Burst))
	if wait > 0 {
		s.counts.Limited++
	}
	return s.faults, wait
}

// bucket is what one source address may still ask.
type bucket struct {
	left float64
	at   time.Time
}

// take takes one request out, or says how long until there is one.
func (b *bucket) take(now time.Time, rate, burst float64) time.Duration {
	b.left = min(burst, b.left+rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / rate * float64(time.Second))
	}
	b.left--
	return 0
}

// guarded checks the key and gives the project that the request is about.
func (s *Server) guarded(pattern string, sc scope, serve func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.Calls[pattern]++
		of := r.Header.Get("ProjectUid")
		switch {
		case sc != agent && r.Header.Get("ApiKey") != s.options.Key:
			refuse(w, http.StatusUnauthorized, "Unauthorized", "invalid credentials")
		case sc == tenant && of != "" && pattern != "GET /v1/services/stylus/version":
			refuse(w, http.StatusForbidden, "UserForbidden", "not in this scope")
		case sc == project && of != "" && s.projects[of] == "":
			refuse(w, http.StatusForbidden, "UserForbidden", "no access to the project")
		default:
			serve(w, r, of)
		}
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"code": code, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// maxBody bounds what is read of a request.
const maxBody = 1 << 20

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidBody", fmt.Sprintf("the body does not read: %v", err))
	}
	return err == nil
}

func (s *Server) listProjects(w http.ResponseWriter, _ *http.Request, _ string) {
	items := []any{}
	for _, uid := range slices.Sorted(maps.Keys(s.projects)) {
		items = append(items, map[string]any{"metadata": map[string]any{"uid": uid, "name": s.projects[uid]}})
	}
	answer(w, http.StatusOK, map[string]any{"items": items})
}

// version says it as Palette does: as text of YAML in JSON.
func (s *Server) version(w http.ResponseWriter, _ *http.Request, _ string) {
	content := "name: stylus\nversion: " + s.options.Version + "\nbuildId: \"20260101\"\n"
	answer(w, http.StatusOK, map[string]any{"spec": map[string]any{"latestVersion": map[string]any{"content": content}}})
}
