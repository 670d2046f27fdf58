package palettetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Host is one Edge host.
type Host struct {
	UID, Name string
	Project   string // uid
	Labels    map[string]string
	Device    map[string]any // spec.device, as it was sent
	Address   map[string]any // spec.host
	Agent     string         // version
	State     string         // ready, unpaired or in-use; empty: ready
	Message   string         // it is unhealthy and says this
	Created   time.Time      // zero: when it is put
	modified  time.Time
}

// macs are the addresses in spec.device.nics and spec.host.
func (h *Host) macs() []string {
	var list []string
	nics, _ := h.Device["nics"].([]any)
	for _, n := range nics {
		nic, _ := n.(map[string]any)
		if mac, _ := nic["macAddr"].(string); mac != "" {
			list = append(list, mac)
		}
	}
	if mac, _ := h.Address["macAddress"].(string); mac != "" {
		list = append(list, mac)
	}
	return list
}

// record is an Edge host as the API shows it.
func (s *Server) record(h *Host) map[string]any {
	health := map[string]any{"state": "healthy", "agentVersion": h.Agent, "message": ""}
	if message := h.Message + s.faults.Unhealthy; message != "" {
		health["state"], health["message"] = "unhealthy", message
	}
	state := h.State
	if state == "" {
		state = "ready"
	}
	const stamp = "2006-01-02T15:04:05.000Z"
	return map[string]any{
		"metadata": map[string]any{
			"uid": h.UID, "name": h.Name, "labels": h.Labels,
			"creationTimestamp": h.Created.UTC().Format(stamp), "lastModifiedTimestamp": h.modified.UTC().Format(stamp),
		},
		"spec": map[string]any{
			"device": h.Device, "host": h.Address,
			"projectMeta": map[string]any{"uid": h.Project, "name": s.projects[h.Project]},
		},
		"status": map[string]any{"state": state, "health": health},
	}
}

// seen is a host of the project that is asked for. Without a project none is.
func (s *Server) seen(w http.ResponseWriter, r *http.Request, of string) *Host {
	h, ok := s.hosts[r.PathValue("uid")]
	if !ok || h.Project != of {
		refuse(w, http.StatusNotFound, "EdgeHostDeviceNotRegistered", "edge host is not found")
		return nil
	}
	return h
}

func (s *Server) getHost(w http.ResponseWriter, r *http.Request, of string) {
	if h := s.seen(w, r, of); h != nil {
		answer(w, http.StatusOK, s.record(h))
	}
}

func (s *Server) deleteHost(w http.ResponseWriter, r *http.Request, of string) {
	h := s.seen(w, r, of)
	switch {
	case h == nil:
	case h.State == "in-use":
		refuse(w, http.StatusBadRequest, "EdgeHostInUse", "edge host is used by a cluster")
	default:
		delete(s.hosts, h.UID)
		answer(w, http.StatusNoContent, nil)
	}
}

const maxLimit = 50

// search gives the hosts of a project in pages. Its filter is read and not
// followed: what Palette makes of each is not documented.
func (s *Server) search(w http.ResponseWriter, r *http.Request, of string) {
	var body struct {
		Filter json.RawMessage
		Sort   []struct{ Field, Order string }
	}
	if !read(w, r, &body) {
		return
	}
	limit := maxLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		limit, _ = strconv.Atoi(text)
	}
	if limit < 1 || limit > maxLimit {
		refuse(w, http.StatusUnprocessableEntity, "608", "limit in query should be less than or equal to 50")
		return
	}
	for _, f := range body.Sort {
		if !slices.Contains([]string{"name", "state", "healthState", "creationTimestamp", "lastModifiedTimestamp"}, f.Field) {
			refuse(w, http.StatusUnprocessableEntity, "InvalidField", "unknown sort field")
			return
		}
	}
	s.page(w, of, limit, r.URL.Query().Get("continue"))
}

// page answers with the hosts behind the one that was last before.
func (s *Server) page(w http.ResponseWriter, of string, limit int, after string) {
	items, next, count := []any{}, "", 0
	for _, uid := range slices.Sorted(maps.Keys(s.hosts)) {
		h := s.hosts[uid]
		if h.Project != of || of == "" {
			continue
		}
		count++
		switch {
		case uid <= after:
		case len(items) == limit:
			next = items[limit-1].(map[string]any)["metadata"].(map[string]any)["uid"].(string)
		default:
			items = append(items, s.record(h))
		}
	}
	answer(w, http.StatusOK, map[string]any{"items": items, "listmeta": map[string]any{"continue": next, "count": count, "limit": limit, "offset": 0}})
}

// registration is what an agent sends.
type registration struct {
	Metadata struct {
		UID, Name string
		Labels    map[string]string
	}
	Spec struct {
		ProjectName  string
		ProjectUID   string `json:"projectUid"`
		AgentVersion string
		Device       map[string]any
		Host         map[string]any
	}
}

func (s *Server) register(w http.ResponseWriter, r *http.Request, _ string) {
	var body registration
	if !read(w, r, &body) {
		return
	}
	t := s.valid(r.Header.Get("EdgeHostToken"))
	of, ok := "", false
	if t != nil {
		of, ok = s.projectFor(t, body)
	}
	switch {
	case s.faults.Deaf:
		refuse(w, http.StatusServiceUnavailable, "Unavailable", "registration is not available")
	case t == nil:
		refuse(w, http.StatusUnauthorized, "InvalidEdgeHostToken", "edge host token is not valid")
	case !ok:
		refuse(w, http.StatusNotFound, "ResourceNotFound", "project is not found")
	case body.Metadata.UID == "":
		refuse(w, http.StatusBadRequest, "InvalidUid", "an edge host needs a uid")
	default:
		s.take(w, of, body)
	}
}

// projectFor is where a registration goes: where the user-data says, else where
// the token says.
func (s *Server) projectFor(t *token, body registration) (uid string, ok bool) {
	if name := body.Spec.ProjectName; name != "" {
		for uid, have := range s.projects {
			if have == name {
				return uid, true
			}
		}
		return "", false
	}
	if body.Spec.ProjectUID != "" {
		return body.Spec.ProjectUID, s.projects[body.Spec.ProjectUID] != ""
	}
	return t.Project, s.projects[t.Project] != ""
}

// take registers a host, or hears of it again. A record of the same UID that
// another machine made stands in the way.
func (s *Server) take(w http.ResponseWriter, of string, body registration) {
	now := s.options.Now()
	h := &Host{
		UID: body.Metadata.UID, Name: body.Metadata.Name, Project: of, Labels: body.Metadata.Labels,
		Device: body.Spec.Device, Address: body.Spec.Host, Agent: body.Spec.AgentVersion, Created: now, modified: now,
	}
	if was := s.hosts[h.UID]; was != nil {
		if !slices.ContainsFunc(was.macs(), func(mac string) bool { return slices.Contains(h.macs(), mac) }) {
			refuse(w, http.StatusConflict, "EdgeHostAlreadyRegistered", "edge host with this uid is registered")
			return
		}
		h.Project, h.State, h.Message, h.Created = was.Project, was.State, was.Message, was.Created
	}
	s.hosts[h.UID] = h
	answer(w, http.StatusOK, map[string]any{"uid": h.UID})
}
