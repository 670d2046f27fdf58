package localui_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// badLogin is somebody else who tries a password.
func badLogin(t *testing.T, port int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	r, err := client.Post(fmt.Sprintf("https://127.0.0.1:%d/v1/users/default/login", port), "application/json",
		strings.NewReader(`{"username":"kairos","password":"guess"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
}
