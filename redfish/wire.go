package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// wire is the transport below gofish. gofish keeps one context for its life,
// closes every connection, hides the headers of a refusal and reads it without
// a bound; so the context of the call, the connection and the answer are kept
// here. Its user makes one call at a time.
type wire struct {
	transport *http.Transport
	pin       *pin
	ctx       context.Context // of the call under way
	greeting  []byte          // if set, the answer to the ServiceRoot that gofish asks for when it connects
	fresh     bool            // a connection for each request
	bare      bool            // no Accept-Encoding
	last      reply           // to the call under way
	requests  int
}

// maxBody bounds an answer; the largest honest ones are lists of attributes.
const maxBody = 4 << 20

func newWire(p *pin) *wire {
	const connect = 30 * time.Second // some BMCs need it when their web server starts
	return &wire{pin: p, ctx: context.Background(), transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSHandshakeTimeout: connect,
		MaxConnsPerHost:     1,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // a compressing BMC changes its ETags
		TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // BMCs sign for themselves: VerifyConnection compares with the pin
			VerifyConnection:   p.verify,
		},
	}}
}

// RoundTrip sends one request and reads its answer to the end, so that nothing
// of it is under way when the next begins.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.greeting != nil && req.Method == http.MethodGet {
		return answer(req, http.StatusOK, http.Header{}, w.greeting), nil
	}
	req = req.Clone(w.ctx)
	req.Close = w.fresh
	if req.Body == nil {
		req.Body = onceBody{} // a request without one is repeated by net/http when a used connection is reset, at once and unseen
	}
	req.Header.Del("Connection")
	if !w.bare {
		req.Header.Set("Accept-Encoding", "identity")
	}
	req.Header.Set("OData-Version", "4.0") // DSP0266 §6.5
	w.requests++
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	w.last = newReply(resp.StatusCode, resp.Header, body)
	return answer(req, resp.StatusCode, resp.Header, body), nil
}

// onceBody is an empty body that cannot be read again; nothing is sent of it.
type onceBody struct{}

func (onceBody) Read([]byte) (int, error) { return 0, io.EOF }

func (onceBody) Close() error { return nil }

func answer(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Request: req, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(string(body))),
	}
}

// client follows a few redirects, never to another host: the session's token
// would go with them.
func (w *wire) client() *http.Client {
	const most = 3
	return &http.Client{Transport: w, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > most || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// pin is the certificate that a BMC must show.
type pin struct{ want string }

// newPin reads a fingerprint; an empty one is the first certificate seen.
func newPin(fingerprint string) (*pin, error) {
	hexed := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(fingerprint))
	if b, err := hex.DecodeString(hexed); err != nil || (len(b) != sha256.Size && hexed != "") {
		return nil, operator(BadTarget, fmt.Sprintf("%q is no fingerprint: write the SHA-256 of the BMC's certificate as 64 hexadecimal digits", fingerprint))
	}
	return &pin{want: hexed}, nil
}

// seen is the fingerprint that every connection showed, "" if none was made by TLS.
func (p *pin) seen() string { return p.want }

func (p *pin) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the BMC shows no certificate")
	}
	sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
	seen := hex.EncodeToString(sum[:])
	if p.want == "" {
		p.want = seen
	}
	if p.want != seen {
		return operator(Certificate, fmt.Sprintf("the BMC shows another certificate than before (%s, pinned is %s); if it was reset, replaced or given a new one, confirm the new fingerprint", seen, p.want))
	}
	return nil
}
