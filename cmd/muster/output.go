package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// format is how a reading command prints.
type format string

// The formats.
const (
	asTable format = "table"
	asJSON  format = "json"
)

// String, Set and Type make format a flag.
func (f *format) String() string { return string(*f) }

func (f *format) Set(text string) error {
	switch format(text) {
	case asTable, asJSON:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("%q is neither json nor table", text)
}

func (f *format) Type() string { return "json|table" }

// reading gives a command the flag that all reading commands have.
func (s *session) reading(cmd *cobra.Command) *cobra.Command {
	s.format = asTable
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().VarP(&s.format, "output", "o", "json or table")
	return cmd
}

// tabular prints itself for people; its JSON is the API's.
type tabular interface{ table(*table) }

// show prints a value as it was asked for.
func (s *session) show(v tabular) error {
	if s.format == asJSON {
		return s.showJSON(v)
	}
	t := &table{w: tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0), now: time.Now()}
	v.table(t)
	return t.w.Flush()
}

func (s *session) showJSON(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows of cells.
type table struct {
	w   *tabwriter.Writer
	now time.Time
}

// row prints one line; an empty cell is a hyphen, so that columns can be counted.
func (t *table) row(cells ...any) {
	words := make([]string, len(cells))
	for i, c := range cells {
		if words[i] = oneLine(fmt.Sprint(c)); words[i] == "" {
			words[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(words, "\t"))
}

// line prints a line that is no row.
func (t *table) line(text string) { fmt.Fprintln(t.w, text) }

// oneLine keeps a cell from ending its row.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == utf8.RuneError {
			return ' '
		}
		return c
	}, text)
}

// clip keeps so much of a sentence that a table stays readable.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	const more = "..."
	runes := []rune(text)[:most-len(more)]
	return strings.TrimRight(string(runes), " .,") + more
}

// age is how long ago, roughly: 5s, 12m, 3h, 4d.
func (t *table) age(at time.Time) string { return span(t.now.Sub(at)) }

// until is how long from now, or nothing where there is no such time.
func (t *table) until(at *time.Time) string {
	switch {
	case at == nil:
		return ""
	case at.Before(t.now):
		return "passed"
	}
	return "in " + span(at.Sub(t.now))
}

func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// size is bytes in the words of disks and files.
func size(n int64) string {
	const kilo = 1000
	switch {
	case n >= kilo*kilo*kilo:
		return fmt.Sprintf("%.1f GB", float64(n)/(kilo*kilo*kilo))
	case n >= kilo*kilo:
		return fmt.Sprintf("%.1f MB", float64(n)/(kilo*kilo))
	case n >= kilo:
		return fmt.Sprintf("%.1f kB", float64(n)/kilo)
	}
	return fmt.Sprintf("%d B", n)
}

// memory is bytes in the words of memory.
func memory(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// short is the part of a digest that people read.
func short(digest string) string {
	const shown = 12
	name, hex, found := strings.Cut(digest, ":")
	if !found {
		name, hex = "", digest
	}
	if len(hex) > shown {
		hex = hex[:shown]
	}
	if name == "" || hex == "" {
		return hex
	}
	return name + ":" + hex
}

// say prints a sentence for people beside what a script reads.
func (s *session) say(format string, args ...any) { say(s.err, format, args...) }

func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
