package palettetest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

type token struct{ Token }

// shape is a token as the API shows it, its value too.
func (s *Server) shape(t *token) map[string]any {
	spec := map[string]any{"token": t.Value, "expiry": t.Expiry.UTC().Format("2006-01-02T15:04:05.000Z")}
	if t.Project != "" {
		spec["defaultProject"] = map[string]any{"uid": t.Project, "name": s.projects[t.Project]}
	}
	return map[string]any{
		"metadata": map[string]any{"uid": t.UID, "name": t.Name},
		"spec":     spec,
		"status":   map[string]any{"isActive": t.Active},
	}
}

func (s *Server) addToken(t Token) *token {
	s.minted++
	t.UID = cmp.Or(t.UID, fmt.Sprintf("t-%04d", s.minted))
	t.Value = cmp.Or(t.Value, rand.Text())
	if t.Expiry.IsZero() {
		t.Expiry = s.options.Now().Add(30 * 24 * time.Hour)
	}
	t.Active = true
	made := &token{t}
	s.tokens[t.UID] = made
	return made
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request, _ string) {
	var body struct {
		Metadata struct{ Name string }
		Spec     struct {
			DefaultProjectUID string `json:"defaultProjectUid"`
			Expiry            time.Time
		}
	}
	if !read(w, r, &body) {
		return
	}
	switch {
	case body.Metadata.Name == "":
		refuse(w, http.StatusBadRequest, "InvalidName", "a token needs a name")
		return
	case body.Spec.DefaultProjectUID != "" && s.projects[body.Spec.DefaultProjectUID] == "":
		refuse(w, http.StatusNotFound, "ResourceNotFound", "project is not found")
		return
	case s.named(body.Metadata.Name) != nil:
		refuse(w, http.StatusConflict, "DuplicateName", "a token has this name already")
		return
	}
	made := s.addToken(Token{Name: body.Metadata.Name, Project: body.Spec.DefaultProjectUID, Expiry: body.Spec.Expiry})
	if s.faults.Forgetful {
		s.faults.Forgetful = false
		hangUp()
	}
	answer(w, http.StatusCreated, map[string]any{"uid": made.UID})
}

func (s *Server) named(name string) *token {
	for _, t := range s.tokens {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (s *Server) listTokens(w http.ResponseWriter, _ *http.Request, _ string) {
	items := []any{}
	for _, uid := range slices.Sorted(maps.Keys(s.tokens)) {
		items = append(items, s.shape(s.tokens[uid]))
	}
	answer(w, http.StatusOK, map[string]any{"items": items})
}

// withToken answers 404 where there is none.
func (s *Server) withToken(w http.ResponseWriter, r *http.Request, do func(*token)) {
	t, ok := s.tokens[r.PathValue("uid")]
	if !ok {
		refuse(w, http.StatusNotFound, "ResourceNotFound", "token is not found")
		return
	}
	do(t)
}

func (s *Server) getToken(w http.ResponseWriter, r *http.Request, _ string) {
	s.withToken(w, r, func(t *token) { answer(w, http.StatusOK, s.shape(t)) })
}

func (s *Server) deleteToken(w http.ResponseWriter, r *http.Request, _ string) {
	s.withToken(w, r, func(t *token) {
		delete(s.tokens, t.UID)
		answer(w, http.StatusNoContent, nil)
	})
}

func (s *Server) switchToken(w http.ResponseWriter, r *http.Request, _ string) {
	var body struct{ IsActive bool }
	if !read(w, r, &body) {
		return
	}
	s.withToken(w, r, func(t *token) {
		t.Active = body.IsActive
		answer(w, http.StatusNoContent, nil)
	})
}

// valid is the token of an agent, if it opens anything.
func (s *Server) valid(value string) *token {
	for _, t := range s.tokens {
		if value != "" && t.Value == value && t.Active && s.options.Now().Before(t.Expiry) {
			return t
		}
	}
	return nil
}
