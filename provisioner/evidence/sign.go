package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Signed is a record as it is written down. The signature is over the bytes of
// record without white space between its parts, as jq -cj .record prints them.
type Signed struct {
	Record    json.RawMessage `json:"record"`
	Signature Signature       `json:"signature"`
}

// Signature says which muster wrote a record.
type Signature struct {
	Algorithm string `json:"algorithm"` // "Ed25519" (RFC 8032)
	Key       string `json:"key"`       // the public key, PEM
	Value     string `json:"value"`     // base64
}

const algorithm = "Ed25519"

// Types of PEM blocks (RFC 7468 §10, §13).
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// Key signs records. It is safe for concurrent use.
type Key struct {
	private ed25519.PrivateKey
	public  string
}

// OpenKey reads the key at path, PKCS #8 in PEM, or makes one, readable by its
// owner alone.
func OpenKey(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("open the key that signs records: %w", err)
	}
	k, err := parseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("%s does not read as the key that signs records; put back the one that was there, or remove the file to have another made: %w", path, err)
	}
	return k, nil
}

func makeKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der})
	return text, put(path, text)
}

func parseKey(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != privateBlock {
		return Key{}, errors.New("there is no private key in it")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("it is no %s key", algorithm)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return Key{}, err
	}
	return Key{private: private, public: string(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der}))}, nil
}

// Public is the public key, PEM.
func (k Key) Public() string { return k.public }

// Mark is what tells this muster from others in names: 8 hex digits of the
// public key's digest, the same for the life of the key.
func (k Key) Mark() string {
	sum := sha256.Sum256([]byte(k.public))
	return hex.EncodeToString(sum[:4])
}

// Sign returns a record as it is written down: JSON, indented.
func (k Key) Sign(r Record) ([]byte, error) {
	record, err := compact(r)
	if err != nil {
		return nil, fmt.Errorf("encode the record of host %s: %w", r.Host.ID, err)
	}
	text, err := compact(Signed{Record: record, Signature: Signature{
		Algorithm: algorithm, Key: k.public, Value: base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, record)),
	}})
	if err != nil {
		return nil, fmt.Errorf("encode the record of host %s: %w", r.Host.ID, err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, fmt.Errorf("indent the record of host %s: %w", r.Host.ID, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// compact writes v as others do too: <, > and & as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Check returns the record in text if its signature holds, and the public key,
// PEM, that it holds with: whose that is, is for the caller to know.
func Check(text []byte) (r Record, key string, err error) {
	var s Signed
	if err := json.Unmarshal(text, &s); err != nil {
		return r, "", fmt.Errorf("this is no record: %w", err)
	}
	block, _ := pem.Decode([]byte(s.Signature.Key))
	if s.Signature.Algorithm != algorithm || block == nil || block.Type != publicBlock {
		return r, "", fmt.Errorf("this is no record that is signed by %s", algorithm)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	public, ok := parsed.(ed25519.PublicKey)
	value, errValue := base64.StdEncoding.DecodeString(s.Signature.Value)
	if err := errors.Join(err, errValue); err != nil || !ok {
		return r, "", fmt.Errorf("the signature of this record does not read: %w", err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, s.Record); err != nil {
		return r, "", fmt.Errorf("this is no record: %w", err)
	}
	if !ed25519.Verify(public, b.Bytes(), value) {
		return r, "", errors.New("this record was changed after it was signed")
	}
	return r, s.Signature.Key, json.Unmarshal(s.Record, &r)
}

// put writes a file that only its owner reads, whole or not at all, so that it
// outlives the loss of power.
func put(path string, text []byte) error {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
