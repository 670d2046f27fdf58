package images

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"aead.dev/minisign"
)

// ErrUnproven says that a content is not the one that was promised.
var ErrUnproven = errors.New("it is not what was promised, and was not kept")

// Proof is what a content must stand up to before it is kept. The zero value
// asks for nothing.
type Proof struct {
	SHA256    string // in hexadecimal
	Key       string // of minisign: the text of its file, or the one line that counts
	Signature string // over the content, made with minisign; the text of its file
}

// proof is a Proof that has been read.
type proof struct {
	sha256    string
	key       minisign.PublicKey
	signature []byte
}

// parse refuses what could never be proven, before a byte has come.
func (p Proof) parse() (proof, error) {
	got := proof{sha256: strings.ToLower(p.SHA256), signature: []byte(p.Signature)}
	if got.sha256 != "" && !isDigest(got.sha256) {
		return proof{}, fmt.Errorf("the sha256 %q has not 64 hexadecimal digits", p.SHA256)
	}
	if p.Key == "" && p.Signature == "" {
		return got, nil
	}
	if p.Key == "" || p.Signature == "" {
		return proof{}, errors.New("a signature is checked with a key: give both")
	}
	if err := got.key.UnmarshalText([]byte(p.Key)); err != nil {
		return proof{}, fmt.Errorf("read the minisign key: %w", err)
	}
	var s minisign.Signature
	if err := s.UnmarshalText(got.signature); err != nil {
		return proof{}, fmt.Errorf("read the minisign signature: %w", err)
	}
	switch {
	case s.Algorithm != minisign.HashEdDSA:
		return proof{}, errors.New("the signature is of the old kind, which is not over a hash: sign again with minisign -H")
	case s.KeyID != got.key.ID():
		return proof{}, fmt.Errorf("the signature was made with key %X, the key given is %X", s.KeyID, got.key.ID())
	}
	return got, nil
}

// watch returns the content to read, and what to ask when it has been read.
func (p proof) watch(content io.Reader) (io.Reader, func(digest string) error) {
	if len(p.signature) == 0 {
		return content, p.checkDigest
	}
	signed := minisign.NewReader(content)
	return signed, func(digest string) error {
		if err := p.checkDigest(digest); err != nil {
			return err
		}
		if !signed.Verify(p.key, p.signature) {
			return fmt.Errorf("%w: the signature is not by key %X over this content", ErrUnproven, p.key.ID())
		}
		return nil
	}
}

func (p proof) checkDigest(digest string) error {
	if p.sha256 != "" && p.sha256 != digest {
		return fmt.Errorf("%w: its sha256 is %s, %s was expected", ErrUnproven, digest, p.sha256)
	}
	return nil
}

func isDigest(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// Sum finds a file's digest in a list as sha256sum writes it, plain or with
// --tag. Lines of other programs' making, such as a signature around the list,
// are passed over. name may be a path or URL; its last part counts.
func Sum(list, name string) (digest string, err error) {
	name = path.Base(name)
	for line := range strings.Lines(list) {
		sum, file, ok := sumLine(strings.TrimRight(line, "\r\n"))
		if !ok || path.Base(file) != name {
			continue
		}
		if digest != "" && digest != sum {
			return "", fmt.Errorf("the checksums name %s twice, with different sums", name)
		}
		digest = sum
	}
	if digest == "" {
		return "", fmt.Errorf("the checksums do not name %s; they are wanted as sha256sum writes them", name)
	}
	return digest, nil
}

func sumLine(line string) (sum, file string, ok bool) {
	if rest, tagged := strings.CutPrefix(line, "SHA256 ("); tagged {
		file, sum, ok = strings.Cut(rest, ") = ")
	} else {
		sum, file, ok = strings.Cut(line, " ")
		file = strings.TrimLeft(file, " *") // the second letter is "*" for binary
	}
	sum = strings.ToLower(sum)
	return sum, file, ok && isDigest(sum) && file != ""
}
