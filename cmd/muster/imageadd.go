package main

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// imageAdding is what an image add was told.
type imageAdding struct {
	source    string // file, URL, or - for standard input
	sums      string // file or URL
	key       string // file, or the key itself
	signature string // file
	in        v1.NewImage
}

func (s *session) imageAdd() *cobra.Command {
	var a imageAdding
	var versions []string
	cmd := &cobra.Command{
		Use: "add FILE|URL|- [FILE...]", Short: "Store an installer ISO, a disk image or a netboot set", Args: atLeast(1),
		Long: "Store an installer ISO or disk image from a file, a URL or standard input (-), or\n" +
			"several files as one netboot set. The server fetches a URL; what was interrupted\n" +
			"goes on when it is asked again.",
		Example: "  muster image add palette-edge-installer.iso --name edge-4.7\n" +
			"  muster image add https://mirror.example/noble.iso --sums https://mirror.example/SHA256SUMS --name ubuntu:current\n" +
			"  muster image add linux initrd.gz --name debian-12-netboot",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.source = args[0]
			var err error
			if a.in.Version, err = api.Versions(versions); err != nil {
				return usageError{err}
			}
			if err := a.complete(); err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			var i v1.Image
			if len(args) > 1 {
				i, err = s.addSet(cmd.Context(), c, a, args)
			} else {
				i, err = s.addImage(cmd, c, a)
			}
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	}
	cmd.Flags().StringVar(&a.in.Name, "name", "", "name for people, as in ubuntu or ubuntu:current (default: the file's, without .iso)")
	cmd.Flags().StringVar(&a.in.SHA256, "sha256", "", "digest that the image must have")
	cmd.Flags().StringVar(&a.sums, "sums", "", "file or URL with digests as sha256sum writes them")
	cmd.Flags().StringVar(&a.key, "minisign-key", "", "public key, or a file with it, that must have signed the image")
	cmd.Flags().StringArrayVar(&a.in.Traits, "trait", nil, "what it does not say itself, such as content; may come again")
	cmd.Flags().StringArrayVar(&versions, "version", nil, "version that it does not say itself, as in agent=4.9.7; may come again")
	cmd.Flags().StringVar(&a.signature, "signature", "", "file with the signature")
	return s.reading(cmd)
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// complete reads what the flags name and fills in what they left open.
func (a *imageAdding) complete() error {
	file := filepath.Base(a.source)
	switch {
	case a.source == "-":
		file = a.in.Name
	case isURL(a.source):
		u, err := url.Parse(a.source)
		if err != nil {
			return usageError{err}
		}
		a.in.URL, file = a.source, strings.Trim(path.Base(u.Path), "./")
	}
	if a.in.Name == "" {
		a.in.Name = strings.TrimSuffix(file, ".iso")
	}
	if a.in.Name == "" {
		return usage("give the image a name: --name NAME")
	}
	a.in.File = file
	if (a.key == "") != (a.signature == "") {
		return usage("a signature is checked with a key: give --minisign-key and --signature")
	}
	return a.readProofs()
}

// maxProof is the size above which a file is no list of digests and no
// signature.
const maxProof = 1 << 20

func (a *imageAdding) readProofs() error {
	if isURL(a.sums) {
		a.in.SumsURL = a.sums
	} else if a.sums != "" {
		text, err := readSmall(a.sums)
		if err != nil {
			return err
		}
		if a.in.Sums = linesAbout(a.in.File, text); a.in.Sums == "" {
			return usage("%s does not name %s", a.sums, a.in.File)
		}
	}
	if a.key == "" {
		return nil
	}
	a.in.Key = a.key
	if _, err := os.Stat(a.key); err == nil {
		if a.in.Key, err = readSmall(a.key); err != nil {
			return err
		}
	}
	text, err := readSmall(a.signature)
	a.in.Signature = text
	return err
}

func readSmall(name string) (string, error) {
	f, length, err := openFile(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if length > maxProof {
		return "", usage("%s has %s, which is too much", name, size(length))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxProof))
	return string(text), err
}

// linesAbout are the lines that may be about a file, so that a long list need
// not be sent.
func linesAbout(file, list string) string {
	var about strings.Builder
	for line := range strings.Lines(list) {
		if strings.Contains(line, file) {
			about.WriteString(line)
		}
	}
	return about.String()
}

func (s *session) addImage(cmd *cobra.Command, c *client.Client, a imageAdding) (v1.Image, error) {
	switch {
	case a.in.URL != "":
		return s.fetchImage(cmd.Context(), c, a.in)
	case a.source == "-":
		return c.AddImage(cmd.Context(), a.in, -1, cmd.InOrStdin())
	}
	f, length, err := openFile(a.source)
	if err != nil {
		return v1.Image{}, err
	}
	defer f.Close()
	m := s.newMeter("add "+a.in.Name, length)
	i, err := c.AddImage(cmd.Context(), a.in, length, m.reader(f))
	m.done(err)
	return i, err
}

// addSet stores several files as one image.
func (s *session) addSet(ctx context.Context, c *client.Client, a imageAdding, files []string) (v1.Image, error) {
	if a.in.SHA256+a.sums+a.key != "" {
		return v1.Image{}, usage("a set has no digest of its own to be checked; check its files first")
	}
	if len(a.in.Traits)+len(a.in.Version) > 0 {
		return v1.Image{}, usage("--trait and --version are said of one ISO or disk image; of a set nothing is said")
	}
	var parts []client.Part
	var total int64
	for _, name := range files {
		f, length, err := openFile(name)
		if err != nil {
			return v1.Image{}, err
		}
		defer f.Close()
		parts = append(parts, client.Part{Name: filepath.Base(name), Size: length, Content: f})
		total += length
	}
	m := s.newMeter("add "+a.in.Name, total)
	for n := range parts {
		parts[n].Content = m.reader(parts[n].Content)
	}
	i, err := c.AddSet(ctx, a.in.Name, parts)
	m.done(err)
	return i, err
}

// Bounds on waiting for a server that went away in the middle of something.
const (
	returnPause = 2 * time.Second
	returnTries = 60 // two minutes, more than a restart takes
)

// fetchImage follows a fetch, also over a restart of the server.
func (s *session) fetchImage(ctx context.Context, c *client.Client, in v1.NewImage) (v1.Image, error) {
	p := s.newProgress("fetch " + in.Name)
	tick := time.NewTicker(returnPause)
	defer tick.Stop()
	for try := 1; ; try++ {
		i, err := c.FetchImage(ctx, in, p.step)
		var away *client.Unreachable
		if !errors.As(err, &away) || !p.began() || try == returnTries {
			p.done(err)
			return i, err
		}
		select {
		case <-ctx.Done():
			p.done(ctx.Err())
			return v1.Image{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// progress is a meter that begins when the server says how much there is.
type progress struct {
	session *session
	what    string
	meter   *meter
}

func (s *session) newProgress(what string) *progress { return &progress{session: s, what: what} }

func (p *progress) began() bool { return p.meter != nil }

func (p *progress) step(w v1.Work) {
	if p.meter == nil {
		p.meter = p.session.newMeter(p.what, w.Total)
	}
	p.meter.set(w.Done)
}

func (p *progress) done(err error) {
	if p.meter != nil {
		p.meter.done(err)
	}
}
