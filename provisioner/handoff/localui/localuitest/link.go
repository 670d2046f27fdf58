package localuitest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// joinPath is how one stand-in joins another. How real hosts do that is not
// public.
const joinPath = "/stand-in/join"

// tokenTime is how long a link token counts.
const tokenTime = 2 * time.Minute

// ticket is what a link token holds: where the leader is, and a password for
// the moment.
type ticket struct {
	Leader string `json:"leader"`
	OTP    string `json:"otp"`
}

// otp is the password of the two minutes that now is in.
func (s *Server) otp(now time.Time) string {
	mac := hmac.New(sha256.New, s.secret)
	_ = binary.Write(mac, binary.BigEndian, now.UnixNano()/int64(tokenTime)) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func (s *Server) generateToken(w http.ResponseWriter, r *http.Request) {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !s.host().MultiNode || !ok {
		refuse(w, http.StatusInternalServerError, "NotAllowed", "enableMultiNode is not set")
		return
	}
	now := s.options.Now()
	text, err := json.Marshal(ticket{at.String(), s.otp(now)})
	if err != nil {
		refuse(w, http.StatusInternalServerError, "NotAllowed", err.Error())
		return
	}
	left := tokenTime - time.Duration(now.UnixNano()%int64(tokenTime))
	answer(w, http.StatusOK, map[string]any{
		"token": base64.StdEncoding.EncodeToString(text), "interval": int(tokenTime.Seconds()), "remainingTime": int(left.Seconds()),
	})
}

// link joins the leader of a token.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	var said struct{ Token string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 16<<10)).Decode(&said); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidInput", "the body is not JSON")
		return
	}
	text, err := base64.StdEncoding.DecodeString(said.Token)
	var t ticket
	if err != nil || json.Unmarshal(text, &t) != nil || t.Leader == "" {
		refuse(w, http.StatusBadRequest, "InvalidInput", "the token is none")
		return
	}
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err := s.joinLeader(r.Context(), t, fmt.Sprint(at)); err != nil {
		refuse(w, http.StatusBadRequest, "LinkFailed", err.Error())
		return
	}
	s.mu.Lock()
	s.leader = t.Leader
	s.mu.Unlock()
	s.linkStatus(w, r)
}

// joining is what a follower tells its leader.
type joining struct{ ID, Address, OTP string }

func (s *Server) joinLeader(ctx context.Context, t ticket, address string) error {
	if !s.host().MultiNode {
		return fmt.Errorf("enableMultiNode is not set")
	}
	text, err := json.Marshal(joining{s.host().ID, address, t.OTP})
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+t.Leader+joinPath, bytes.NewReader(text))
	if err != nil {
		return err
	}
	reply, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("the leader cannot be reached: %w", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("the leader refused the token: %s", reply.Status)
	}
	var peers map[string]string
	if err := json.NewDecoder(io.LimitReader(reply.Body, 64<<10)).Decode(&peers); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range peers {
		s.peers[id] = at
	}
	return nil
}

// join takes a follower that knows the password of the moment.
func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	var j joining
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<10)).Decode(&j); err != nil || j.ID == "" {
		refuse(w, http.StatusBadRequest, "InvalidInput", "the body is not JSON")
		return
	}
	if !hmac.Equal([]byte(j.OTP), []byte(s.otp(s.options.Now()))) {
		refuse(w, http.StatusUnauthorized, "TokenExpired", "the token is over")
		return
	}
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	s.mu.Lock()
	s.peers[j.ID] = j.Address
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]string{s.host().ID: fmt.Sprint(at)})
}

func (s *Server) linkStatus(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) == 0 {
		refuse(w, http.StatusNotFound, "NotFound", "the host is not linked")
		return
	}
	type peer struct {
		ID     string `json:"id"`
		IP     string `json:"ip"`
		Role   string `json:"role"`
		Status string `json:"status"`
	}
	role := "follower"
	if s.leader != "" {
		role = "leader"
	}
	var peers []peer
	for id, at := range s.peers {
		ip, _, _ := net.SplitHostPort(at)
		peers = append(peers, peer{id, ip, role, "Linked"})
	}
	answer(w, http.StatusOK, map[string]any{"status": "Completed", "peers": peers})
}
