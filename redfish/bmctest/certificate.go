package bmctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"time"
)

// certificateLife is how long a BMC's own certificate lasts.
const certificateLife = 10 * 365 * 24 * time.Hour

// renewCertificate gives the BMC a new self-signed certificate.
func (e *Emulator) renewCertificate() error {
	cert, err := selfSigned(e.opts.Address, e.opts.Now())
	if err != nil {
		return fmt.Errorf("make the BMC's certificate: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cert = cert
	return nil
}

func (e *Emulator) certificate() *tls.Certificate {
	e.mu.Lock()
	defer e.mu.Unlock()
	cert := e.cert
	return &cert
}

// Fingerprint is the SHA-256 of the present certificate, in lower-case hex.
func (e *Emulator) Fingerprint() string {
	sum := sha256.Sum256(e.certificate().Certificate[0])
	return hex.EncodeToString(sum[:])
}

func selfSigned(address string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, err
	}
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "BMC default certificate"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(address)},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
