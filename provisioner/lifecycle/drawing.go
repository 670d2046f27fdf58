package lifecycle

import (
	"fmt"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// Drawing returns the table as a Markdown table and a Mermaid state diagram.
// docs/lifecycle.md holds it verbatim; a test compares.
func Drawing() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> unknown: seen\n    [*] --> expected: listed\n")
	for _, r := range table {
		for _, from := range r.From {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", from, r.To, r.When)
		}
	}
	b.WriteString("```\n\nRows are read from the top; the first that matches wins.\n\n")
	b.WriteString("| # | from | when | to | leaves by |\n|---|---|---|---|---|\n")
	for i, r := range table {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", i+1, origin(r.From), r.When, r.To, r.Exit)
	}
	return b.String()
}

func origin(from []provisioner.Phase) string {
	if len(from) == 0 {
		return "any"
	}
	names := make([]string, len(from))
	for i, p := range from {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}
