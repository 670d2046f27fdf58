package localuitest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"
)

// upload is what the host was given.
type upload struct {
	name   string
	sha256 string
	size   int64
	at     time.Time
}

var errCut = errors.New("the upload was cut off")

func (s *Server) uploadContent(w http.ResponseWriter, r *http.Request) {
	u, err := s.receive(r)
	if err != nil {
		s.half(w, err)
		return
	}
	s.mu.Lock()
	if !s.faults.Forgets {
		s.content = &u
	}
	s.mu.Unlock()
	answer(w, http.StatusCreated, map[string]string{"message": "uploaded", "uploadPath": "/opt/spectrocloud/content/" + u.name})
}

func (s *Server) uploadDefinition(w http.ResponseWriter, r *http.Request) {
	u, err := s.receive(r)
	if err != nil {
		s.half(w, err)
		return
	}
	path := "/opt/spectrocloud/clusterconfig/" + u.name
	s.mu.Lock()
	if !s.faults.Forgets {
		s.definition = path
	}
	s.mu.Unlock()
	answer(w, http.StatusCreated, map[string]string{"message": "uploaded", "uploadPath": path})
}

// half answers an upload that did not arrive whole. One that was cut gets no
// answer at all.
func (s *Server) half(w http.ResponseWriter, err error) {
	if errors.Is(err, errCut) {
		panic(http.ErrAbortHandler)
	}
	refuse(w, http.StatusInternalServerError, "UploadFailed", err.Error())
}

// receive reads the form of an upload as it comes and keeps its digest.
func (s *Server) receive(r *http.Request) (upload, error) {
	s.begin(1)
	defer s.begin(-1)
	if hold := s.trouble().Hold; hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return upload{}, r.Context().Err()
		}
	}
	form, err := r.MultipartReader()
	if err != nil {
		return upload{}, err
	}
	var got *upload
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return upload{}, err
		}
		if part.FormName() != "uploadFile" {
			continue
		}
		sum := sha256.New()
		size, err := s.drain(sum, part)
		if err != nil {
			return upload{}, err
		}
		got = &upload{part.FileName(), hex.EncodeToString(sum.Sum(nil)), size, s.options.Now()}
	}
	if got == nil {
		return upload{}, errors.New("the form has no uploadFile")
	}
	return *got, nil
}

func (s *Server) begin(step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.Running += step; step > 0 {
		s.counts.Uploads++
	}
	s.counts.Parallel = max(s.counts.Parallel, s.counts.Running)
}

// drain reads a file, or as much of it as the faults let through.
func (s *Server) drain(to io.Writer, from io.Reader) (int64, error) {
	s.mu.Lock()
	limit := s.faults.Cut
	s.mu.Unlock()
	var size int64
	var err error
	if limit > 0 {
		size, err = io.CopyN(to, from, limit)
	} else {
		size, err = io.Copy(to, from)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Bytes += size
	switch {
	case limit > 0 && err == nil:
		s.faults.Cut = 0
		return size, errCut
	case limit > 0 && errors.Is(err, io.EOF): // shorter than what would be cut
		return size, nil
	}
	return size, err
}

func (s *Server) contentDetails(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	u := s.content
	s.mu.Unlock()
	if u == nil {
		refuse(w, http.StatusNotFound, "NotFound", "nothing was uploaded")
		return
	}
	const mib, gib = 1 << 20, 1 << 30
	answer(w, http.StatusOK, map[string]any{
		"fileName": u.name, "sha256Hash": u.sha256, "sizeInBytes": u.size,
		"sizeInMiB": float64(u.size) / mib, "sizeInGiB": float64(u.size) / gib, "uploadDateTime": u.at.UTC().Format(time.RFC3339),
	})
}

func (s *Server) definitionDetails(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	path := s.definition
	s.mu.Unlock()
	if path == "" {
		refuse(w, http.StatusNotFound, "NotFound", "there is no cluster definition")
		return
	}
	answer(w, http.StatusOK, map[string]any{"archiveUploadPath": path, "clusterProfileDetails": []any{}})
}
