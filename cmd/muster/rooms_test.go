package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/muster-boot/muster/"

// arrow is an import that a room may have. A room ending in /... is itself and
// all below it.
type arrow struct{ from, to, why string }

// arrows are all that there are; docs/architecture.md draws them. One that the
// work needs is added here with its reason, or not made.
var arrows = []arrow{
	{"cmd/muster", "provisioner/app", "serve runs the composition root"},
	{"cmd/muster", "provisioner/config", "serve reads the configuration"},
	{"cmd/muster", "provisioner/api/client", "every other command is one call"},
	{"cmd/muster", "provisioner/api/v1", "what a command prints is the API's shape"},
	{"cmd/muster", "provisioner/api", "order lint reads files exactly as an import does, without a server"},
	{"cmd/muster", "inventory/profile", "profile commands need no server"},
	{"cmd/muster", "images/ramdisk", "a ramdisk is built where its parts are, then uploaded"},
	{"cmd/muster", "provisioner", "bmc check says in the words which BMC it means"},
	{"cmd/muster", "provisioner/bmc", "bmc check speaks to a BMC as the engine does, without a server"},
	{"cmd/muster", "provisioner/evidence", "a record is checked where it is read, without a server"},
	{"cmd/muster", "redfish/discover", "bmc discover asks addresses for their BMCs, without a server"},
	{"cmd/scout", "inventory/...", "the scout is inventory/scout, joined to the client"},
	{"cmd/scout", "images/write", "a scout may write a disk image"},
	{"cmd/scout", "provisioner/api/client", "the scout's calls"},
	{"cmd/lab", "provisioner/lab/...", "drives the lab by hand"},
	{"cmd/lab", "provisioner/api/client", "the demo speaks to its server as people do"},
	{"cmd/lab", "provisioner/api/v1", "the demo's result is the API's hosts"},
	{"cmd/lab", "provisioner/evidence", "the demo checks a host's record as its buyer would"},
	{"cmd/lab", "images/...", "the bench serves and imports images with muster's own code"},
	{"cmd/lab", "redfish/bmctest", "the demo believes the emulated BMCs' own state, not muster's word"},
	{"cmd/lab", "provisioner/handoff/palette/palettetest", "the demo believes the stand-in's own record, not muster's word"},
	{"cmd/lab", "pxe/...", "the bench serves them with the boot plane's own server"},

	{"provisioner/app", "...", "the composition root joins everything"},
	{"provisioner/lab/...", "...", "the lab serves tests, demo and bench only"},

	{"provisioner", "inventory", "a report is a fact"},
	{"provisioner", "inventory/profile", "a host carries its profile and findings"},
	{"provisioner/...", "provisioner", "the words"},
	{"provisioner/...", "inventory", "the hardware words"},
	{"provisioner/...", "inventory/profile", "rules and findings"},
	{"provisioner/...", "inventory/manifest", "orders as people write them"},
	{"provisioner/engine", "provisioner/lifecycle", "the engine asks the table"},
	{"provisioner/engine", "provisioner/store", "and commits what it says"},
	{"provisioner/engine", "provisioner/handoff", "the duty of an installed host"},
	{"provisioner/bmc", "redfish", "errands are goals of the Redfish driver"},
	{"provisioner/bmc", "redfish/ipmi", "or of the IPMI driver, as a host's row says"},
	{"provisioner/bmc", "redfish/survey", "the second witness of a host's hardware"},
	{"provisioner/handoff/...", "provisioner/handoff", "a driver keeps the contract"},
	{"provisioner/handoff/palette", "provisioner/handoff/stylus", "what an order adds for the agent is checked"},
	{"provisioner/handoff/localui", "provisioner/handoff/stylus", "the same agent, managed locally"},
	{"provisioner/webhook", "provisioner/store", "the journal is the outbox, and a webhook a cursor in it"},
	{"provisioner/store/...", "provisioner/store", "an engine of the store keeps the contract"},
	{"provisioner/api", "provisioner/api/v1", "the shapes"},
	{"provisioner/api", "provisioner/store", "people's wishes become intent"},
	{"provisioner/api", "provisioner/lifecycle", "what a host waits for is the table's own sentence"},
	{"provisioner/api", "inventory/strictyaml", "the place of a mistake goes to who made it"},
	{"provisioner/config", "inventory/strictyaml", "mistakes in all files of people are told alike"},
	{"provisioner/api/client", "provisioner/api/v1", "the shapes"},
	{"provisioner/api/apitest", "provisioner/api", "serves it for tests"},
	{"provisioner/api/apitest", "provisioner/api/v1", "its catalog speaks them"},
	{"provisioner/api/apitest", "provisioner/store/...", "over a real store"},
	{"provisioner/api/apitest", "provisioner/seal", "with a real key for the passwords of BMCs"},

	{"pxe/...", "pxe/...", "one instrument"},
	{"redfish/...", "redfish/...", "one instrument"},
	{"redfish/survey", "inventory", "a survey is a report by the BMC"},
	{"inventory/...", "inventory/...", "one instrument"},
	{"images/...", "images/...", "one instrument"},
}

// forTests are rooms that only tests and cmd/lab may import.
var forTests = []string{
	"provisioner/lab", "provisioner/lab/site", "provisioner/lab/appliance",
	"provisioner/api/apitest", "provisioner/store/storetest", "provisioner/handoff/handofftest", "provisioner/handoff/localui/localuitest", "provisioner/handoff/palette/palettetest", "redfish/bmctest", "redfish/ipmi/ipmitest",
}

// room is what the go command tells of one package.
type room struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func rooms(t *testing.T) []room {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []room
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var r room
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(r.GoFiles) > 0 { // the others are tests only
			list = append(list, r)
		}
	}
	const fewest = 20
	if len(list) < fewest {
		t.Fatalf("go list found %d rooms, there are more", len(list))
	}
	return list
}

func TestRoomsImportOnlyAlongTheArrows(t *testing.T) {
	used := map[arrow]bool{}
	for _, r := range rooms(t) {
		from := strings.TrimPrefix(r.ImportPath, module)
		for _, path := range r.Imports {
			to, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			i := slices.IndexFunc(arrows, func(a arrow) bool { return within(a.from, from) && within(a.to, to) })
			if i < 0 {
				t.Errorf("%s imports %s: there is no such arrow", from, to)
				continue
			}
			used[arrows[i]] = true
			if slices.Contains(forTests, to) && !strings.HasPrefix(from, "cmd/lab") && !slices.Contains(forTests, from) {
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
	}
	if len(used) < len(arrows)/2 {
		t.Errorf("only %d of %d arrows are used: the list is not of this repository", len(used), len(arrows))
	}
}

// within tells whether a room is the one of a pattern, or below it.
func within(pattern, room string) bool {
	root, below := strings.CutSuffix(pattern, "...")
	if !below {
		return pattern == room
	}
	root = strings.TrimSuffix(root, "/")
	return root == "" || room == root || strings.HasPrefix(room, root+"/")
}

func TestWithin(t *testing.T) {
	for _, tc := range []struct {
		pattern, room string
		want          bool
	}{
		{"pxe", "pxe", true}, {"pxe", "pxe/dhcp", false}, {"pxe/...", "pxe", true}, {"pxe/...", "pxe/dhcp", true},
		{"pxe/...", "pxelinux", false}, {"...", "cmd/muster", true},
	} {
		if within(tc.pattern, tc.room) != tc.want {
			t.Errorf("within(%s, %s) is not %t", tc.pattern, tc.room, tc.want)
		}
	}
}

func TestInstrumentsKnowNeitherMusterNorEachOther(t *testing.T) {
	instruments := []string{"pxe", "redfish", "inventory", "images"}
	for _, a := range arrows {
		from, to := strings.Split(a.from, "/")[0], strings.Split(a.to, "/")[0]
		if !slices.Contains(instruments, from) || from == to || a.from == "redfish/survey" && a.to == "inventory" {
			continue
		}
		t.Errorf("the list lets %s import %s", a.from, a.to)
	}
}

// TestEachPackageSaysOnceWhatItIs wants one package comment in exactly one
// file, with three parts at least: what it does, what it refuses, where to
// start. The last part names something to start at.
func TestEachPackageSaysOnceWhatItIs(t *testing.T) {
	for _, r := range rooms(t) {
		var commented []string
		var text string
		for _, name := range r.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(r.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				commented = append(commented, name)
				text = f.Doc.Text()
			}
		}
		name := strings.TrimPrefix(r.ImportPath, module)
		switch {
		case len(commented) != 1:
			t.Errorf("%s has its package comment in %d files %v, want one", name, len(commented), commented)
		case !strings.Contains(text, "\n\n"):
			t.Errorf("%s: the package comment has one paragraph; say what it does, what it refuses, where to start", name)
		case !strings.Contains(strings.Join(strings.Fields(strings.ToLower(text)), " "), "start at"):
			t.Errorf("%s: the package comment does not say where to start", name)
		}
	}
}
