package palette

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What Palette answers, tolerantly: what is missing is empty.
type (
	meta struct {
		UID     string            `json:"uid"`
		Name    string            `json:"name"`
		Labels  map[string]string `json:"labels"`
		Created stamp             `json:"creationTimestamp"`
	}
	project struct {
		Metadata meta `json:"metadata"`
	}
	tokenRecord struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Token          string `json:"token"`
			Expiry         stamp  `json:"expiry"`
			DefaultProject struct {
				UID string `json:"uid"`
			} `json:"defaultProject"`
		} `json:"spec"`
		Status struct {
			IsActive bool `json:"isActive"`
		} `json:"status"`
	}
	edgeHost struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Device struct {
				Memory struct {
					SizeInMB number `json:"sizeInMB"`
				} `json:"memory"`
				Disks []struct {
					Size number `json:"size"` // GB
				} `json:"disks"`
				NICs []struct {
					MAC string `json:"macAddr"`
				} `json:"nics"`
			} `json:"device"`
			Host struct {
				Address string `json:"hostAddress"`
				MAC     string `json:"macAddress"`
			} `json:"host"`
		} `json:"spec"`
		macs   []string // all in the record, as they are compared
		Status struct {
			State  string `json:"state"`
			Health struct {
				State   string `json:"state"`
				Message string `json:"message"`
				Agent   string `json:"agentVersion"`
			} `json:"health"`
		} `json:"status"`
	}
)

// stamp is a time as Palette writes it; what does not read is zero, and so is
// its year 1.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(data []byte) error {
	t, err := time.Parse(time.RFC3339, strings.Trim(string(data), `"`))
	if err == nil && t.Year() > 1 {
		s.Time = t.UTC()
	}
	return nil
}

// number is one that may stand in quotes; what does not read is 0.
type number float64

func (n *number) UnmarshalJSON(data []byte) error {
	if f, err := strconv.ParseFloat(string(bytes.Trim(data, `"`)), 64); err == nil {
		*n = number(f)
	}
	return nil
}

// readHost reads one record. One that is odd is not all of them.
func readHost(data []byte) (h edgeHost, ok bool) {
	if json.Unmarshal(data, &h) != nil || h.Metadata.UID == "" {
		return h, false
	}
	var list []string
	for _, n := range h.Spec.Device.NICs {
		list = append(list, n.MAC)
	}
	h.macs = normal(append(list, h.Spec.Host.MAC))
	return h, true
}

func (c *client) projects(ctx context.Context) ([]meta, error) {
	var got struct {
		Items []project `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/projects/metadata", "", nil, &got)
	var list []meta
	for _, p := range got.Items {
		list = append(list, p.Metadata)
	}
	return list, err
}

var versionLine = regexp.MustCompile(`(?m)^version:\s*"?([^\s"]+)`)

// agentVersion is the version of the agent that belongs to this Palette; empty
// where it does not say.
func (c *client) agentVersion(ctx context.Context) (string, error) {
	var got struct {
		Spec struct {
			Latest struct {
				Content string `json:"content"` // YAML
			} `json:"latestVersion"`
		} `json:"spec"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/services/stylus/version", "", nil, &got); err != nil {
		return "", err
	}
	if m := versionLine.FindStringSubmatch(got.Spec.Latest.Content); m != nil {
		return m[1], nil
	}
	return "", nil
}

const tokensPath = "/v1/edgehosts/tokens"

func (c *client) tokens(ctx context.Context) ([]tokenRecord, error) {
	var all []tokenRecord
	err := pages(func(query string) (listMeta, error) {
		var got struct {
			Items    []tokenRecord `json:"items"`
			Listmeta listMeta      `json:"listmeta"`
		}
		err := c.call(ctx, http.MethodGet, tokensPath+query, "", nil, &got)
		all = append(all, got.Items...)
		return got.Listmeta, err
	})
	return all, err
}

func (c *client) token(ctx context.Context, uid string) (tokenRecord, error) {
	var got tokenRecord
	err := c.call(ctx, http.MethodGet, tokensPath+"/"+url.PathEscape(uid), "", nil, &got)
	return got, err
}

func (c *client) createToken(ctx context.Context, name, project string, expiry time.Time) (uid string, err error) {
	body := map[string]any{
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"defaultProjectUid": project, "expiry": expiry.UTC().Format("2006-01-02T15:04:05.000Z")},
	}
	var got struct {
		UID string `json:"uid"`
	}
	if err := c.call(ctx, http.MethodPost, tokensPath, "", body, &got); err != nil {
		return "", err
	}
	if got.UID == "" {
		return "", errGarbled
	}
	return got.UID, nil
}

func (c *client) deleteToken(ctx context.Context, uid string) error {
	err := c.call(ctx, http.MethodDelete, tokensPath+"/"+url.PathEscape(uid), "", nil, nil)
	if is(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func (c *client) deleteHost(ctx context.Context, project, uid string) error {
	err := c.call(ctx, http.MethodDelete, "/v1/edgehosts/"+url.PathEscape(uid), project, nil, nil)
	if is(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// listMeta says where a list goes on.
type listMeta struct {
	Continue string `json:"continue"`
}

// pageSize is the most that Palette gives at once; it refuses to be asked for more.
const pageSize = 50

// maxPages bounds a list whose end never comes.
const maxPages = 400

// pages asks for a list until it ends.
func pages(ask func(query string) (listMeta, error)) error {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	seen := []string{}
	for range maxPages {
		m, err := ask("?" + query.Encode())
		if err != nil || m.Continue == "" {
			return err
		}
		if slices.Contains(seen, m.Continue) {
			return errGarbled
		}
		seen = append(seen, m.Continue)
		query.Set("continue", m.Continue)
	}
	return errGarbled
}

// hosts are all Edge hosts of a project.
func (c *client) hosts(ctx context.Context, project string) ([]edgeHost, error) {
	var all []edgeHost
	err := pages(func(query string) (listMeta, error) {
		var got struct {
			Items    []json.RawMessage `json:"items"`
			Listmeta listMeta          `json:"listmeta"`
		}
		err := c.call(ctx, http.MethodPost, "/v1/dashboard/edgehosts/search"+query, project,
			map[string]any{"filter": map[string]any{}, "sort": []any{}}, &got)
		for _, item := range got.Items {
			if h, ok := readHost(item); ok {
				all = append(all, h)
			}
		}
		return got.Listmeta, err
	})
	return all, err
}
