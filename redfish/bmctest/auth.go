package bmctest

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	servicePath  = root + "/SessionService"
	sessionsPath = servicePath + "/Sessions"
	accountsPath = root + "/AccountService/Accounts"
)

// auth is who may come in.
type auth struct {
	user, password string
	expired        bool // the password must be changed first
	sessions       []*session
	wrong          int       // wrong passwords in a row
	locked         time.Time // until when
	opened         int
	left           []*session // timed out, and nobody came back with their tokens
}

type session struct {
	id, token string
	used      time.Time
}

func newAuth(o Options) auth {
	return auth{user: o.User, password: o.Password, expired: o.PasswordExpired || o.Personality.Account.Change}
}

// admit checks who asks.
func (e *Emulator) admit(r *request) (answer, bool) {
	if e.open(r) {
		return answer{}, false
	}
	if bad, refused := e.identify(r); refused {
		return bad, true
	}
	if e.auth.expired && !strings.HasPrefix(r.path, accountsPath) && !strings.HasPrefix(r.path, servicePath) {
		return e.refuse("password-change", e.accountPath()), true
	}
	return answer{}, false
}

// open tells what needs no login (DSP0266 §13.3.4).
func (e *Emulator) open(r *request) bool {
	if r.path == "/redfish" || r.path == root {
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	return r.path == sessionsPath && r.Method == http.MethodPost && !e.rules.Session.None
}

// identify takes a session's token, or else a password.
func (e *Emulator) identify(r *request) (answer, bool) {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		e.expire()
		for _, s := range e.auth.sessions {
			if subtle.ConstantTimeCompare([]byte(s.token), []byte(token)) == 1 {
				s.used = e.opts.Now()
				return answer{}, false
			}
		}
		e.auth.left = slices.DeleteFunc(e.auth.left, func(s *session) bool { return s.token == token })
		return e.refuse("unauthorized"), true
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		a := e.refuse("unauthorized")
		a.header = http.Header{"Www-Authenticate": {`Basic realm="BMC"`}}
		return a, true
	}
	return e.login(user, password)
}

// login checks a password and counts the wrong ones.
func (e *Emulator) login(user, password string) (answer, bool) {
	now := e.opts.Now()
	if now.Before(e.auth.locked) {
		return e.refuse("locked"), true
	}
	if user == e.auth.user && password == e.auth.password {
		e.auth.wrong = 0
		return answer{}, false
	}
	e.auth.wrong++
	if n := e.rules.Account.Tries; n > 0 && e.auth.wrong >= n {
		e.auth.locked, e.auth.wrong = now.Add(e.opts.seconds(e.rules.Account.Lock)), 0
	}
	return e.refuse("unauthorized"), true
}

// expire drops the sessions that nobody used for the time-out. One that times out
// was never deleted: it counts as leaked, unless its user still comes with it, as
// a slow one does.
func (e *Emulator) expire() {
	timeout := e.opts.seconds(e.rules.Session.Timeout)
	if timeout == 0 {
		return
	}
	now := e.opts.Now()
	e.auth.sessions = slices.DeleteFunc(e.auth.sessions, func(s *session) bool {
		if now.Sub(s.used) <= timeout {
			return false
		}
		e.auth.left = append(e.auth.left, s)
		return true
	})
}

func (e *Emulator) createSession(r *request) answer {
	user, _ := r.body["UserName"].(string)
	password, _ := r.body["Password"].(string)
	if bad, refused := e.login(user, password); refused {
		return bad
	}
	e.expire()
	_, full := e.fault(FaultSessions)
	if n := e.rules.Session.Max; full || n > 0 && len(e.auth.sessions) >= n {
		return e.refuse("sessions")
	}
	s := &session{id: numbered("%d", e.number()), token: rand.Text(), used: e.opts.Now()}
	e.auth.sessions = append(e.auth.sessions, s)
	e.auth.opened++
	p := sessionsPath + "/" + s.id
	return answer{status: http.StatusCreated, body: e.showSession(s.id), header: http.Header{
		"X-Auth-Token": {s.token}, "Location": {e.link(p)},
	}}
}

func (e *Emulator) showSession(id string) object {
	o := e.node(sessionsPath+"/"+id, "Session.v1_3_0.Session", "User Session")
	o["UserName"] = e.auth.user
	return o
}

func (e *Emulator) sessionResource(id string) (resource, bool) {
	i := slices.IndexFunc(e.auth.sessions, func(s *session) bool { return s.id == id })
	if i < 0 {
		return resource{}, false
	}
	return resource{
		get: func() object { return e.showSession(id) },
		remove: func(*request) answer {
			e.auth.sessions = slices.Delete(e.auth.sessions, i, i+1)
			return answer{status: http.StatusNoContent}
		},
	}, true
}

func (e *Emulator) listSessions() object {
	e.expire()
	var members []string
	for _, s := range e.auth.sessions {
		members = append(members, sessionsPath+"/"+s.id)
	}
	return e.collection(sessionsPath, "Session", members)
}

// accountPath is the one account's; where accounts are fixed slots, the second.
func (e *Emulator) accountPath() string {
	if e.rules.Account.Slots > 0 {
		return accountsPath + "/2"
	}
	return accountsPath + "/" + e.opts.User
}

func (e *Emulator) authTree() map[string]resource {
	own := e.accountPath()
	tree := map[string]resource{
		root + "/AccountService": {get: e.showAccountService},
		accountsPath:             e.listed(accountsPath, "ManagerAccount", own),
		own:                      {get: e.showAccount, patch: e.changeAccount},
	}
	if !e.rules.Session.None {
		tree[servicePath] = resource{get: e.showSessionService}
		tree[sessionsPath] = resource{get: e.listSessions, post: e.createSession}
	}
	return tree
}

func (e *Emulator) showSessionService() object {
	o := e.node(servicePath, "SessionService.v1_1_8.SessionService", "Session Service")
	o["ServiceEnabled"] = true
	if e.rules.Session.Timeout > 0 {
		o["SessionTimeout"] = e.rules.Session.Timeout
	}
	o["Sessions"] = e.ref(sessionsPath)
	return o
}

func (e *Emulator) showAccountService() object {
	r := e.rules.Account
	o := e.node(root+"/AccountService", "AccountService.v1_10_0.AccountService", "Account Service")
	o["ServiceEnabled"] = true
	o["AccountLockoutThreshold"], o["AccountLockoutDuration"] = r.Tries, r.Lock
	o["MinPasswordLength"], o["MaxPasswordLength"] = r.Min, r.Max
	o["Accounts"] = e.ref(accountsPath)
	return o
}

func (e *Emulator) showAccount() object {
	o := e.node(e.accountPath(), "ManagerAccount.v1_8_0.ManagerAccount", "User Account")
	o["UserName"], o["RoleId"], o["Enabled"] = e.auth.user, "Administrator", true
	o["Password"] = nil
	o["PasswordChangeRequired"] = e.auth.expired
	o["Locked"] = e.opts.Now().Before(e.auth.locked)
	return o
}

// changeAccount changes the password and nothing else.
func (e *Emulator) changeAccount(r *request) answer {
	for _, name := range sortedKeys(r.body) {
		if name != "Password" {
			return e.refuse("readonly", name)
		}
	}
	password, _ := r.body["Password"].(string)
	limit := e.rules.Account
	if len(password) < limit.Min || limit.Max > 0 && len(password) > limit.Max {
		return e.refuse("password-format")
	}
	e.auth.password, e.auth.expired = password, false
	return answer{status: http.StatusOK, body: e.showAccount()}
}

// Sessions counts the sessions that are open, those ever opened, and those that
// had to time out because nobody deleted them, nor came back with them.
func (e *Emulator) Sessions() (open, opened, leaked int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expire()
	return len(e.auth.sessions), e.auth.opened, len(e.auth.left)
}

// Locked tells whether wrong passwords have locked the account.
func (e *Emulator) Locked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opts.Now().Before(e.auth.locked)
}
