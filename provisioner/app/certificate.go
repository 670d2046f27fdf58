package app

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner/config"
)

// What muster's own certificate is like. Its key is RSA because UEFI firmware
// and BMCs with a TLS library built without elliptic curves know no other (EDK II
// until 2022). It holds for ten years, and from 1970 on: a BMC whose battery is
// empty starts there.
const (
	certificateFile  = "boot-tls.pem" // in the data directory
	certificateLimit = 64 << 10       // bytes
	certificateBits  = 2048
	certificateYears = 10
	certificateSpare = 30 * 24 * time.Hour // before its end another one is made
)

// openCertificate is what the boot plane shows by https: the site's own that the
// configuration names, or one that muster makes.
func openCertificate(cfg config.Config, nets []network, now time.Time) (tls.Certificate, error) {
	if t := cfg.BootTLS; t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return pair, fmt.Errorf("use boot.certificate %s with boot.key %s: %w; both are PEM files, the key is not encrypted", t.Certificate, t.Key, err)
		}
		return pair, nil
	}
	return ownCertificate(filepath.Join(cfg.Data, certificateFile), addressesOf(nets), now)
}

// ownCertificate is the one kept at path. It is made there when there is none
// that can be used, and anew, with the same key, when it ends soon or lacks one
// of the addresses.
func ownCertificate(path string, ours []netip.Addr, now time.Time) (tls.Certificate, error) {
	kept, err := readCertificate(path)
	if err != nil {
		return kept, err
	}
	if kept.Leaf != nil && len(lacking(kept.Leaf, ours)) == 0 && now.Add(certificateSpare).Before(kept.Leaf.NotAfter) {
		return kept, nil
	}
	key, isRSA := kept.PrivateKey.(*rsa.PrivateKey)
	if !isRSA {
		if key, err = rsa.GenerateKey(rand.Reader, certificateBits); err != nil {
			return kept, fmt.Errorf("make a key for https: %w", err)
		}
	}
	text, err := newCertificate(key, ours, now)
	if err != nil {
		return kept, fmt.Errorf("make a certificate for https: %w", err)
	}
	if err := replaceFile(path, text); err != nil {
		return kept, fmt.Errorf("keep the certificate for https: %w", err)
	}
	return tls.X509KeyPair(text, text)
}

// readCertificate reads key and certificate from one file, so that neither is
// ever without its other. A file that holds none, as after the loss of power, is
// as good as no file: nothing else depends on it.
func readCertificate(path string) (tls.Certificate, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, nil
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate for https: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("others may read the key for https; remove %s, and muster makes another", path)
	}
	text, reading := io.ReadAll(io.LimitReader(f, certificateLimit))
	if err := errors.Join(err, reading); err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate for https: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, nil
	}
	return pair, nil
}

// newCertificate signs itself: whoever wants to verify it is given this one.
func newCertificate(key *rsa.PrivateKey, ours []netip.Addr, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // RFC 5280, 4.1.2.2
	if err != nil {
		return nil, err
	}
	c := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "muster boot plane"},
		NotBefore: time.Unix(0, 0), NotAfter: now.AddDate(certificateYears, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, // the latter for key exchange by RSA
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, a := range ours {
		c.IPAddresses = append(c.IPAddresses, net.IP(a.AsSlice()))
	}
	signed, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = errors.Join(
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return text.Bytes(), err
}

// replaceFile puts a file of its owner alone in the place of one: all of it, or
// nothing.
func replaceFile(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// lacking are the addresses that a certificate does not name.
func lacking(c *x509.Certificate, ours []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(ours), func(a netip.Addr) bool {
		return slices.ContainsFunc(c.IPAddresses, net.IP(a.AsSlice()).Equal)
	})
}

// bootTLS is how the boot plane speaks https. The last suites are for clients
// without elliptic curves, which are offered no other; they protect less, but
// what they carry goes by plain http as well.
func bootTLS(c tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		},
	}
}

// certificateWords are for the person who may have to make a BMC trust it, and
// what speaks against that it will.
func certificateWords(c *x509.Certificate, ours []netip.Addr, now time.Time) []string {
	sum := sha256.Sum256(c.Raw)
	out := []string{"the certificate for https has the SHA-256 fingerprint " + hex.EncodeToString(sum[:])}
	for _, a := range lacking(c, ours) {
		out = append(out, fmt.Sprintf("boot.certificate does not name %s: a BMC that verifies it will refuse images from there; add the address to the certificate", a))
	}
	if now.After(c.NotAfter) {
		out = append(out, fmt.Sprintf("boot.certificate ended on %s: a BMC that verifies it will refuse images; renew it", c.NotAfter.Format(time.DateOnly)))
	}
	return out
}
