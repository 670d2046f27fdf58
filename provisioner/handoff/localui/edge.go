package localui

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Paths of the Edge Management API (its OpenAPI document, "Local Management
// APIs" v1).
const (
	pathPing       = "/v1/ping"
	pathLogin      = "/v1/users/default/login"
	pathCurrent    = "/v1/edge-mgmt/edgehosts/current"
	pathContent    = pathCurrent + "/uploaded-content/details"
	pathDefinition = "/v1/edge-mgmt/clusters/archive/overridden/details"
	pathLinkToken  = pathCurrent + "/link/generate-token"
	pathLink       = pathCurrent + "/link"
	pathLinkStatus = pathCurrent + "/link/status"

	pathUploadContent    = pathCurrent + "/actions/upload-content"
	pathUploadDefinition = pathCurrent + "/actions/upload-clusterconfig"
)

// Bounds of one call.
const (
	callTime  = 20 * time.Second
	dialTime  = 5 * time.Second // the host is on a network of the site
	maxAnswer = 1 << 20         // bytes
	maxSaid   = 200             // bytes of what a host says that is repeated to people
)

// edge speaks to the Edge Management API of one host. Its certificate is its
// own work, so the first one that is seen is kept and every later one must be
// the same. Safe for concurrent use.
type edge struct {
	base   string
	client *http.Client

	mu    sync.Mutex
	pin   string // SHA-256 of the host's certificate; empty until the first connection
	token string
}

// errOtherCertificate is that of a host which shows another certificate than
// the first time.
var errOtherCertificate = errors.New("the host shows another certificate than before")

// newEdge speaks to address, a host and a port. pin is empty where nothing is
// known of the host's certificate.
func newEdge(address, pin string) *edge {
	e := &edge{base: "https://" + address, pin: pin}
	e.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // no proxy: the host is on the site's own network
			DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout:   callTime,
			ResponseHeaderTimeout: 0, // an upload is answered when it was unpacked
			MaxIdleConnsPerHost:   1,
			IdleConnTimeout:       time.Minute,
			TLSClientConfig: &tls.Config{
				MinVersion:         tls.VersionTLS12,
				InsecureSkipVerify: true, // nobody vouches for it; VerifyConnection holds it to the first one
				VerifyConnection:   e.verify,
			},
		},
	}
	return e
}

func (e *edge) verify(c tls.ConnectionState) error {
	sum := sha256.Sum256(c.PeerCertificates[0].Raw)
	seen := hex.EncodeToString(sum[:])
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pin == "" {
		e.pin = seen
	}
	if e.pin != seen {
		return errOtherCertificate
	}
	return nil
}

// pinned is the SHA-256 of the host's certificate, empty before there was a
// connection.
func (e *edge) pinned() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pin
}

// answerError is an answer that is no 2xx.
type answerError struct {
	status int
	said   string // by the host, cleaned
}

func (e *answerError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("it answered %d %s: %s", e.status, http.StatusText(e.status), e.said)
}

// statusOf is the status of an answer that is no 2xx, else 0.
func statusOf(err error) int {
	if answer := (*answerError)(nil); errors.As(err, &answer) {
		return answer.status
	}
	return 0
}

// call sends one request and decodes its JSON answer; to may be nil. Keys that
// are not known are left alone.
func (e *edge) call(ctx context.Context, method, path string, body, to any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return e.do(r, to)
}

func (e *edge) do(r *http.Request, to any) error {
	r.Header.Set("Accept", "application/json")
	e.mu.Lock()
	if e.token != "" {
		r.Header.Set("Authorization", e.token)
	}
	e.mu.Unlock()
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read its answer: %w", err)
	case answer.StatusCode/100 != 2:
		return &answerError{answer.StatusCode, said(text)}
	case len(text) > maxAnswer:
		return fmt.Errorf("its answer has more than %d KiB", maxAnswer>>10)
	case to == nil:
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("its answer is not what the Edge Management API gives: %w", err)
	}
	return nil
}

// said is what an answer says in words: the message of its JSON, else its text.
func said(text []byte) string {
	var problem struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	words := string(text)
	if json.Unmarshal(text, &problem) == nil && problem.Message+problem.Code != "" {
		words = strings.TrimSpace(problem.Code + " " + problem.Message)
	}
	words = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(words, "?"), func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c)
	}), " ")
	if len(words) > maxSaid {
		words = strings.ToValidUTF8(words[:maxSaid], "") + " ..."
	}
	return strings.TrimRight(words, ".")
}

// ping asks whether the API is there; it needs no log-in.
func (e *edge) ping(ctx context.Context) error {
	return e.call(ctx, http.MethodGet, pathPing, nil, nil)
}

// login logs in, once. Five that fail lock the account for 15 minutes, so that
// whoever calls must not do it again with the same password after a refusal.
// The session is the short one, of two hours.
func (e *edge) login(ctx context.Context, user, password string) error {
	var success struct {
		Token struct{ Authorization string }
	}
	body := map[string]string{"username": user, "password": password}
	if err := e.call(ctx, http.MethodPost, pathLogin+"?setCookie=false", body, &success); err != nil {
		if answer, ok := errors.AsType[*answerError](err); ok {
			answer.said = strings.ReplaceAll(answer.said, password, "********") // some repeat what they were sent
		}
		return err
	}
	if success.Token.Authorization == "" {
		return &answerError{http.StatusOK, "a log-in without a token"}
	}
	e.mu.Lock()
	e.token = success.Token.Authorization
	e.mu.Unlock()
	return nil
}

// Edge host as the API describes it; only what is compared.
type edgeHost struct {
	Metadata struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		ManagementMode string `json:"managementMode"`
		NetworkInfo    []struct {
			MAC string `json:"macAddr"`
			IP  string `json:"ip"`
		} `json:"networkInfo"`
	} `json:"spec"`
	Status struct {
		AgentVersion        string `json:"agentVersion"`
		ConfigurationStatus string `json:"configurationStatus"` // pending, inprogress, configured
	} `json:"status"`
}

func (e *edge) current(ctx context.Context) (edgeHost, error) {
	var h edgeHost
	err := e.call(ctx, http.MethodGet, pathCurrent, nil, &h)
	return h, err
}

// uploaded is the content archive that the host was given last.
type uploaded struct {
	Name   string `json:"fileName"`
	SHA256 string `json:"sha256Hash"`
	Size   int64  `json:"sizeInBytes"`
}

// content is what the host was given last; the zero value where nothing was.
func (e *edge) content(ctx context.Context) (uploaded, error) {
	var u uploaded
	err := e.call(ctx, http.MethodGet, pathContent, nil, &u)
	if statusOf(err) == http.StatusNotFound {
		return uploaded{}, nil
	}
	return u, err
}

// definition is the path on the host of the cluster definition that it was
// given; empty where none was.
func (e *edge) definition(ctx context.Context) (string, error) {
	var d struct {
		Path string `json:"archiveUploadPath"`
	}
	err := e.call(ctx, http.MethodGet, pathDefinition, nil, &d)
	if statusOf(err) == http.StatusNotFound {
		return "", nil
	}
	return d.Path, err
}

// linkToken is what a leader's followers join it with; a new one every two
// minutes.
func (e *edge) linkToken(ctx context.Context) (string, error) {
	var t struct {
		Token string `json:"token"`
	}
	if err := e.call(ctx, http.MethodPost, pathLinkToken, nil, &t); err != nil {
		return "", err
	}
	if t.Token == "" {
		return "", errors.New("it gave no link token")
	}
	return t.Token, nil
}

// links is how far a host is linked, and with whom.
type links struct {
	Status string `json:"status"` // Pending, InProgress, Completed, Failed
	Error  string `json:"errorMessage"`
	Peers  []struct {
		ID     string `json:"id"`
		IP     string `json:"ip"`
		Status string `json:"status"`
	} `json:"peers"`
}

func (l links) has(id string) bool {
	for _, p := range l.Peers {
		if p.ID == id {
			return true
		}
	}
	return false
}

// link has the host join the leader that made the token.
func (e *edge) link(ctx context.Context, token string) (links, error) {
	var l links
	err := e.call(ctx, http.MethodPost, pathLink, map[string]string{"token": token}, &l)
	return l, err
}

// linked is how far the host is linked; the zero value where it never was.
func (e *edge) linked(ctx context.Context) (links, error) {
	var l links
	err := e.call(ctx, http.MethodGet, pathLinkStatus, nil, &l)
	if statusOf(err) == http.StatusNotFound {
		return links{}, nil
	}
	return l, err
}
