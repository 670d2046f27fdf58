package palettetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Listening is a stand-in that serves by HTTPS, with a certificate of an
// authority of its own, as a self-hosted Palette often has.
type Listening struct {
	*Server
	Endpoint string // host and port
	CA       []byte // PEM

	http *http.Server
	done chan error
}

// Serve serves s on l until Close. names are the host names and addresses that
// its certificate is for, beside l's own address.
func Serve(s *Server, l net.Listener, names ...string) (*Listening, error) {
	own, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	cert, ca, err := certify(append(names, own))
	if err != nil {
		return nil, err
	}
	up := &Listening{Server: s, Endpoint: l.Addr().String(), CA: ca, done: make(chan error, 1)}
	up.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: nil,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	go func() { up.done <- up.http.ServeTLS(l, "", "") }()
	return up, nil
}

// Close ends serving at once and waits for it.
func (l *Listening) Close() error {
	err := l.http.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// certify makes an authority and a certificate of it.
func certify(names []string) (cert tls.Certificate, ca []byte, err error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, err
	}
	from, until := time.Now().AddDate(-1, 0, 0), time.Now().AddDate(5, 0, 0)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in authority"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return cert, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	if err != nil {
		return cert, nil, err
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca, nil
}
