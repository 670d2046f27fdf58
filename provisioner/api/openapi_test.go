package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// served reads the document as a client gets it.
func served(t *testing.T) (doc struct {
	OpenAPI string                               `json:"openapi"`
	Paths   map[string]map[string]map[string]any `json:"paths"`
	Parts   struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}, text string) {
	t.Helper()
	rec := httptest.NewRecorder()
	New(Options{Version: "v0-test"}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, rec.Body.String()
}

func TestTableAndDocumentNameTheSameOperations(t *testing.T) {
	doc, _ := served(t)
	ids := map[string]bool{}
	rows := 0
	for _, r := range (&people{}).routes() {
		op := doc.Paths[r.path][strings.ToLower(r.method)]
		if op == nil {
			t.Errorf("%s is not in the document", r.describe())
			continue
		}
		rows++
		if op["operationId"] != r.id || op["summary"] != r.summary || op["x-access"] != string(r.access) {
			t.Errorf("%s: the document says %v, %v, %v", r.describe(), op["operationId"], op["summary"], op["x-access"])
		}
		if ids[r.id] || r.id == "" || r.summary == "" {
			t.Errorf("%s: id %q is empty or used twice, or it has no summary", r.describe(), r.id)
		}
		ids[r.id] = true
	}
	documented := 0
	for _, item := range doc.Paths {
		documented += len(item)
	}
	if documented != rows || doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s with %d operations, the table has %d", doc.OpenAPI, documented, rows)
	}
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	doc, text := served(t)
	refs := regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1)
	if len(refs) == 0 {
		t.Error("the document has no references")
	}
	for _, ref := range refs {
		if doc.Parts.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
}

func TestNoRouteOfThePeopleIsOnTheBootPlane(t *testing.T) {
	boot := NewBootPlane(nil, nil, zerolog.Nop())
	table := append((&people{}).routes(), route{method: "GET", path: "/openapi.json"})
	for _, r := range table {
		path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.path, "x")
		rec := httptest.NewRecorder()
		boot.ServeHTTP(rec, httptest.NewRequest(r.method, path, nil))
		if rec.Code != http.StatusNotFound {
			t.Errorf("%s answers %d on the boot plane", r.describe(), rec.Code)
		}
	}
}

func TestOnlyReadingRoutesAreOpenToViewers(t *testing.T) {
	for _, r := range (&people{}).routes() {
		opens := r.id == "hostMedium" // its answer is a URL that opens a host's configuration
		reads := (r.method == http.MethodGet || strings.HasSuffix(r.path, "/lint")) && !opens
		if reads != (r.access == Viewer) {
			t.Errorf("%s is for %s", r.describe(), r.access)
		}
	}
}
